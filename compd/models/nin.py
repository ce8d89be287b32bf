"""Network in Network in CIFAR form (Lin et al. 2014), with BatchNorm in the place of dropout.

BatchNorm lets it train under the zoo's one schedule, and dropout would draw from a generator that
no run's random seed decides.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from compd.errors import ModelError
from compd.sizes import Size

__all__ = ["nin"]


class NiN(nn.Module):
    """Three blocks of a convolution and two 1x1 convolutions; the last gives a map a class."""

    def __init__(self, width: int, *, channels: int, classes: int) -> None:
        super().__init__()
        wide, half = max(1, 5 * width // 6), max(1, width // 2)  # 160 and 96 of 192
        self.block1 = nn.Sequential(
            *_convolution(channels, width, 5), *_convolution(width, wide), *_convolution(wide, half)
        )
        self.block2 = nn.Sequential(
            *_convolution(half, width, 5), *_convolution(width, width), *_convolution(width, width)
        )
        self.block3 = nn.Sequential(*_convolution(width, width, 3), *_convolution(width, width))
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = F.max_pool2d(self.block1(x), 3, 2, 1)
        y = F.avg_pool2d(self.block2(y), 3, 2, 1)
        maps = self.classifier(self.block3(y))  # (N, K, H/4, W/4)
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)


def _convolution(before: int, out: int, side: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(before, out, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    ]


def nin(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """NiN with BatchNorm; ``width`` 192 is the paper's. Needs images of 8 x 8 or more."""
    if min(size) < 8:
        raise ModelError(f"expected images of 8 x 8 or more for nin, got size={size}")
    return NiN(width, channels=channels, classes=classes)
