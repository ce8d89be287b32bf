"""VGG-11 with BatchNorm in CIFAR form (Simonyan and Zisserman 2015, configuration A)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from compd.errors import ModelError
from compd.sizes import Size

__all__ = ["vgg11"]

# Multiples of the width (64 in the paper); 0 is a 2x2 max pool.
_LAYOUT = (1, 0, 2, 0, 4, 4, 0, 8, 8, 0, 8, 8, 0)


class VGG(nn.Module):
    """Convolutions with BatchNorm and ReLU, global average pool, one linear layer."""

    def __init__(self, width: int, *, channels: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for factor in _LAYOUT:
            if factor == 0:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            out = factor * width
            layers += [nn.Conv2d(before, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
            before = out
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = F.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        logits: Tensor = self.classifier(y)
        return logits


def vgg11(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """VGG-11 with BatchNorm; ``width`` 64 is the paper's. Needs images of 32 x 32 or more."""
    if min(size) < 32:
        raise ModelError(f"expected images of 32 x 32 or more for vgg11, got size={size}")
    return VGG(width, channels=channels, classes=classes)
