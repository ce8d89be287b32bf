"""Coloured digits, and small networks of many families that learn them in seconds.

Imports nothing of compd: ``benchmarks/kinds.py`` brings these networks to it as anybody would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

SIZE = 16
TRAINED = 1200  # images; the other 597 are tested


@cache
def digits(
    height: int = SIZE, width: int = SIZE, channels: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Scikit-learn's digits, in colours and with noise: uint8 (1797, H, W, C), and labels."""
    found = load_digits()
    draw = np.random.default_rng(0)
    grey = [Image.fromarray((i * 15).astype(np.uint8)) for i in found.images]
    images = np.stack([np.asarray(i.resize((width, height), 2)) for i in grey])[..., None]
    tint = draw.uniform(0.5, 1, (len(images), 1, 1, channels))
    noise = draw.normal(20, 8, (*images.shape[:3], channels))
    return np.clip(images * tint + noise, 0, 255).astype(np.uint8), found.target


def floats(images: np.ndarray) -> Tensor:
    """uint8 (N, H, W, C) to float32 (N, C, H, W) in 0..1."""
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def fit(
    net: nn.Module,
    *,
    epochs: int = 6,
    lr: float = 2e-3,
    labels: Callable[[Tensor], Tensor] = lambda labels: labels,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    **size: int,
) -> nn.Module:
    """Train on the first images."""
    images, classes = digits(**size)
    x, y = floats(images[:TRAINED]), labels(torch.from_numpy(classes[:TRAINED]))
    optimiser = torch.optim.Adam(net.train().parameters(), lr)
    shuffle = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=shuffle).split(64):
            optimiser.zero_grad()
            loss(net(x[rows]), y[rows]).backward()
            optimiser.step()
    return net.eval()


def conv(inside: int, outside: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Module:
    """A convolution and its BatchNorm."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
    )


def head(width: int, classes: int = 10) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class Residual(nn.Module):
    """``x`` and what a block makes of it, summed."""

    def __init__(self, *block: nn.Module, after: nn.Module | None = None) -> None:
        super().__init__()
        self.block = nn.Sequential(*block)
        self.after = after or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.after(x + self.block(x))


class Gate(nn.Module):
    """Squeeze and excitation: each channel times a sigmoid of all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, width // 4, 1), nn.SiLU()
        )
        self.back = nn.Conv2d(width // 4, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.back(self.weigh(x)))


class Dense(nn.Module):
    """Each layer sees all before it."""

    def __init__(self, width: int, grows: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(conv(width + i * grows, grows), nn.ReLU()) for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class ChannelsLast(nn.Module):
    """Runs a block on (N, H, W, C)."""

    def __init__(self, *block: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(*block)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Patches(nn.Module):
    """Patches of 4 pixels as tokens, blocks on them, and a layer on their mean."""

    def __init__(self, width: int, block: Callable[[], nn.Module], blocks: int = 2) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, width, 4, 4)
        self.place = nn.Parameter(torch.randn(1, (SIZE // 4) ** 2, width) / 10)
        self.blocks = nn.Sequential(*(block() for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.cut(x).flatten(2).transpose(1, 2) + self.place)
        return self.head(self.norm(x.mean(1)))


class Attention(nn.Module):
    """Multi-head self-attention, written out, as exporters like it."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        q, k, v = self.into(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(n, t, width))


class Mix(nn.Module):
    """A linear layer along the tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.Linear(tokens, 32), nn.GELU(), nn.Linear(32, tokens))

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(x.transpose(1, 2)).transpose(1, 2)


def perceptron(width: int) -> nn.Module:
    wide = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
    return Residual(nn.LayerNorm(width), *wide)


class Recurrent(nn.Module):
    """Rows of pixels as time."""

    def __init__(self, cell: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.cell = cell(3 * SIZE, 48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 1, 3).flatten(2)
        return self.head(self.cell(rows)[0][:, -1])


class TwoHeads(nn.Module):
    """Scores, and the features that they are of."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, stride=2), nn.ReLU(), conv(16, 32, stride=2))
        self.head = head(32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x)
        return features.mean((2, 3)), self.head(features.relu())


class Then(nn.Module):
    """A network and what is behind its scores in the file."""

    def __init__(self, net: nn.Module, *behind: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(net, *behind)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def lenet(channels: int = 3, height: int = SIZE, width: int = SIZE, classes: int = 10) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(height * width, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def resnet() -> nn.Module:
    def block(width: int) -> nn.Module:
        return Residual(conv(width, width), nn.ReLU(), conv(width, width), after=nn.ReLU())

    return nn.Sequential(
        conv(3, 16), nn.ReLU(), block(16), conv(16, 32, 3, 2), nn.ReLU(), block(32), head(32)
    )


def mobilenet() -> nn.Module:
    def block(width: int) -> nn.Module:
        wide = 3 * width
        return Residual(
            conv(width, wide, 1),
            nn.ReLU6(),
            conv(wide, wide, groups=wide),
            nn.ReLU6(),
            conv(wide, width, 1),
        )

    return nn.Sequential(
        conv(3, 16), nn.ReLU6(), block(16), conv(16, 24, 3, 2), nn.ReLU6(), block(24), head(24)
    )


def densenet() -> nn.Module:
    return nn.Sequential(conv(3, 16), nn.ReLU(), nn.MaxPool2d(2), Dense(16, 8, 3), head(40))


def gated() -> nn.Module:
    return nn.Sequential(
        conv(3, 16), nn.SiLU(), Gate(16), conv(16, 32, 3, 2), nn.SiLU(), Gate(32), head(32)
    )


def convnext() -> nn.Module:
    def block(width: int) -> nn.Module:
        wide = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        mixed = nn.Conv2d(width, width, 5, padding=2, groups=width)
        return Residual(mixed, ChannelsLast(nn.LayerNorm(width), *wide))

    return nn.Sequential(nn.Conv2d(3, 24, 2, 2), block(24), block(24), head(24))


def upsampling() -> nn.Module:
    return nn.Sequential(
        conv(3, 16, 3, 2),
        nn.PReLU(16),
        nn.ConvTranspose2d(16, 16, 2, 2),
        nn.PReLU(16),
        conv(16, 24, 3, 2),
        nn.PReLU(24),
        head(24),
    )


def transformer() -> nn.Module:
    def block() -> nn.Module:
        return nn.Sequential(Residual(nn.LayerNorm(32), Attention(32)), perceptron(32))

    return Patches(32, block)


def mixer() -> nn.Module:
    def block() -> nn.Module:
        return nn.Sequential(Residual(nn.LayerNorm(32), Mix((SIZE // 4) ** 2)), perceptron(32))

    return Patches(32, block)


def perceptrons() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 96), perceptron(96), nn.Linear(96, 10)
    )


def lstm() -> nn.Module:
    return Recurrent(nn.LSTM)


def gru() -> nn.Module:
    return Recurrent(nn.GRU)


@cache
def trained(make: Callable[[], nn.Module], epochs: int = 6, lr: float = 2e-3) -> nn.Module:
    """One of these networks, trained once."""
    torch.manual_seed(0)
    return fit(make(), epochs=epochs, lr=lr)


def one_hot(labels: Tensor) -> Tensor:
    return F.one_hot(labels, 10).float()


def high(labels: Tensor) -> Tensor:
    """Is it 5 or more: float (N, 1)."""
    return (labels >= 5).float()[:, None]


def batches(count: int = 8, each: int = 16, sizes: Sequence[int] = (SIZE, SIZE, 3)) -> list[Tensor]:
    """Images for calibration."""
    images, _ = digits(*sizes)
    return list(floats(images[: count * each]).split(each))
