"""LeNet-5 (LeCun et al. 1998) with ReLU and max pooling, as is common today."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from compd.errors import ModelError
from compd.sizes import Size

__all__ = ["lenet5"]


class LeNet(nn.Module):
    """Two 5x5 convolutions and three linear layers."""

    def __init__(self, width: int, *, channels: int, classes: int, size: Size) -> None:
        super().__init__()
        high, wide = (((side - 4) // 2 - 4) // 2 for side in size)
        second = 16 * width // 6
        self.conv1 = nn.Conv2d(channels, width, 5)
        self.conv2 = nn.Conv2d(width, second, 5)
        self.fc1 = nn.Linear(second * high * wide, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = F.max_pool2d(F.relu(self.conv1(x)), 2)
        y = F.max_pool2d(F.relu(self.conv2(y)), 2).flatten(1)
        y = F.relu(self.fc2(F.relu(self.fc1(y))))
        logits: Tensor = self.fc3(y)
        return logits


def lenet5(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """LeNet-5; ``width`` 6 is the paper's. Needs images of 16 x 16 or more."""
    if min(size) < 16:
        raise ModelError(f"expected images of 16 x 16 or more for lenet5, got size={size}")
    return LeNet(width, channels=channels, classes=classes, size=size)
