"""CIFAR-form residual networks.

``ResNet18`` is He et al. 2016 with a 3x3 stem for 32 x 32 inputs; ``ResNet20`` is the paper's own
CIFAR network (section 4.2) with option A shortcuts. Parameter names follow the checkpoints that
are in circulation: ``conv1, bn1, layerS.B.{conv1,bn1,conv2,bn2}, linear``.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from compd.sizes import Size

__all__ = ["resnet18", "resnet20"]


class SubsampleAndPad(nn.Module):
    """Option A shortcut: take every second pixel, fill the new channels with zeros."""

    def __init__(self, missing: int) -> None:
        super().__init__()
        self.before, self.after = missing // 2, missing - missing // 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C + missing, ceil(H/2), ceil(W/2))."""
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, channels: int, out: int, stride: int, *, projection: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut: nn.Module = nn.Sequential()
        if stride != 1 or channels != out:
            self.shortcut = (
                nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                if projection
                else SubsampleAndPad(out - channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H/stride, W/stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    """Stem, stages of basic blocks, global average pool, linear."""

    def __init__(
        self, blocks: list[int], width: int, *, channels: int, classes: int, projection: bool
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.stages = len(blocks)
        before = width
        for stage, count in enumerate(blocks):
            out = width << stage
            strides = [1 if stage == 0 else 2] + [1] * (count - 1)
            layers = []
            for stride in strides:
                layers.append(BasicBlock(before, out, stride, projection=projection))
                before = out
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.linear = nn.Linear(before, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pixels (N, C, H, W) -> logits (N, K)."""
        y = F.relu(self.bn1(self.conv1(x)))
        for stage in range(self.stages):
            y = self.get_submodule(f"layer{stage + 1}")(y)
        y = F.adaptive_avg_pool2d(y, 1).flatten(1)
        logits: Tensor = self.linear(y)
        return logits


def resnet18(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """ResNet-18 with a CIFAR stem; ``width`` 64 is the paper's."""
    del size  # any
    return ResNet([2, 2, 2, 2], width, channels=channels, classes=classes, projection=True)


def resnet20(*, width: int, channels: int, classes: int, size: Size) -> nn.Module:
    """ResNet-20 for CIFAR (He et al. 2016, section 4.2); ``width`` 16 is the paper's."""
    del size  # any
    return ResNet([3, 3, 3], width, channels=channels, classes=classes, projection=False)
