"""LeNet-1 (LeCun et al. 1989) with ReLU, as Hu et al. 2022 use it: small enough to be a student."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from compd.errors import ModelError
from compd.sizes import Size

__all__ = ["lenet1"]


class LeNet1(nn.Module):
    """Two 5x5 convolutions with average pools, and one linear layer."""

    def __init__(self, width: int, *, channels: int, classes: int, size: Size) -> None:
        super().__init__()
        high, wide = (((side - 4) // 2 - 4) // 2 for side in size)
        self.conv1 = nn.Conv2d(channels, width, 5)
        self.conv2 = nn.Conv2d(width, 3 * width, 5)
        self.linear = nn.Linear(3 * width * high * wide, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = F.avg_pool2d(F.relu(self.conv1(x)), 2)
        y = F.avg_pool2d(F.relu(self.conv2(y)), 2).flatten(1)
        logits: Tensor = self.linear(y)
        return logits


def lenet1(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """LeNet-1; ``width`` 4 is the paper's. Needs images of 16 x 16 or more."""
    if min(size) < 16:
        raise ModelError(f"expected images of 16 x 16 or more for lenet1, got size={size}")
    return LeNet1(width, channels=channels, classes=classes, size=size)
