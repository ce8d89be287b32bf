"""DenseNet-121 in CIFAR form (Huang et al. 2017: bottlenecks, compression 0.5)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compd.sizes import Size

__all__ = ["densenet121"]


class Bottleneck(nn.Module):
    """BN-ReLU-1x1, BN-ReLU-3x3; the result is put in front of the input's channels."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + growth, H, W)."""
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        return torch.cat([y, x], 1)


class Transition(nn.Module):
    """BN-ReLU-1x1 and a 2x2 average pool."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H/2, W/2)."""
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """Four dense blocks with transitions between them."""

    def __init__(self, blocks: list[int], growth: int, *, channels: int, classes: int) -> None:
        super().__init__()
        planes = 2 * growth
        self.conv1 = nn.Conv2d(channels, planes, 3, padding=1, bias=False)
        self.blocks = len(blocks)
        for index, count in enumerate(blocks, start=1):
            layers = []
            for _ in range(count):
                layers.append(Bottleneck(planes, growth))
                planes += growth
            self.add_module(f"dense{index}", nn.Sequential(*layers))
            if index < len(blocks):
                self.add_module(f"trans{index}", Transition(planes, planes // 2))
                planes //= 2
        self.bn = nn.BatchNorm2d(planes)
        self.linear = nn.Linear(planes, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = self.conv1(x)
        for index in range(1, self.blocks + 1):
            y = self.get_submodule(f"dense{index}")(y)
            if index < self.blocks:
                y = self.get_submodule(f"trans{index}")(y)
        y = F.adaptive_avg_pool2d(F.relu(self.bn(y)), 1).flatten(1)
        logits: Tensor = self.linear(y)
        return logits


def densenet121(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """DenseNet-121 with a CIFAR stem; ``width`` is the growth rate, 32 in the paper."""
    del size  # any of 8 or more
    return DenseNet([6, 12, 24, 16], width, channels=channels, classes=classes)
