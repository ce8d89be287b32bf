"""From the lattice into a model, and back out as logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["differentiable", "fitting", "predict", "steady", "to_input"]

# Below this many images oneDNN picks other kernels, which add in another order (measured: 1 and 3).
_LEAST = 8
# Values in all images of a call, at most: 10 images of 3 x 224 x 224. More are no faster there, and
# a network's largest layer has eight times as many values.
_VALUES = 3 << 19
_MOST = 256  # images of a call, however small
_DIFFERENTIATED = 1 << 20  # the same where a call is differentiated: 8 images of 3 x 224 x 224


def to_input(images: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """uint8 (N, C, H, W) -> float32 pixels in 0..1 on a device, channels last in memory."""
    moved = images.to(device, non_blocking=True)
    return moved.contiguous(memory_format=torch.channels_last).float().div_(255)


def steady(model: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
    """Make a float model answer an image the same whatever the batch it comes in.

    Small batches are filled up with copies of their last image, whose answers are cut off again.

    Args:
        model: float pixels (N, C, H, W) to a tensor (N, ...) or a tuple of such, or of tuples.
    """

    def run(x: Tensor) -> Any:
        n = len(x)
        if n == 0 or n >= _LEAST:
            return model(x)
        return _first(model(torch.cat([x, x[-1:].expand(_LEAST - n, -1, -1, -1)])), n)

    return run


def _first(value: Any, n: int) -> Any:
    return value[:n] if isinstance(value, Tensor) else tuple(_first(part, n) for part in value)


def fitting(most: int, images: Tensor, *, values: int = _VALUES) -> int:
    """How many images of this size to take at once: fewer than ``most`` where they are large.

    Args:
        most: if they are small.
        images: (N, C, H, W).
        values: in all of them, at most.
    """
    return max(1, min(most, values // math.prod(images.shape[1:])))


def differentiable(images: Tensor) -> int:
    """How many images of this size to differentiate at once: all results of all layers are kept.

    Args:
        images: (N, C, H, W).
    """
    return max(_LEAST, _DIFFERENTIATED // math.prod(images.shape[1:]))


def predict(run: Callable[[Tensor], Tensor], images: Tensor, *, batch: int | None = None) -> Tensor:
    """Run a model over many images in batches.

    Args:
        run: uint8 (N, C, H, W) -> logits (N, K).
        images: uint8 (N, C, H, W).
        batch: images a call; None for 256, and fewer where they are large.

    Returns:
        float32 logits (N, K) on the CPU.
    """
    batch = batch or fitting(_MOST, images)
    parts = [run(images[i : i + batch]).cpu() for i in range(0, len(images), batch)]
    return torch.cat(parts)
