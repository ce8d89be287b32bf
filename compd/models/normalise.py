"""Normalisation as the first layer of a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Classifier", "Normalise"]


class Normalise(nn.Module):
    """``(x - mean) / std`` per channel, for ``x`` in 0..1 of shape (N, C, H, W)."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise float pixels in 0..1."""
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """A network with its normalisation: float pixels in 0..1 in, logits out."""

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.normalise = Normalise(mean, std)
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, K) for float pixels in 0..1 of shape (N, C, H, W)."""
        logits: Tensor = self.net(self.normalise(x))
        return logits
