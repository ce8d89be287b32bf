"""From the lattice into a model, and back out as logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["differentiable", "fitting", "predict", "steady", "to_input"]

# Below this many images oneDNN picks other kernels for convolutions, which add in another order
# (measured: 1 and 3), and below this many rows MKL does for matrix products (up to 15, on AVX-512).
_LEAST = 8
_ROWS = 16
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

    Small batches are filled up with copies of their last image, whose answers are cut off again,
    and so are the rows of small matrices.

    Args:
        model: float pixels (N, C, H, W) to a tensor (N, ...) or a tuple of such, or of tuples.
    """

    def run(x: Tensor) -> Any:
        n = len(x)
        if n == 0 or n >= _ROWS:
            return model(x)
        with _ManyRows():
            return _first(model(_filled(x, _LEAST)), n)

    return run


class _ManyRows(TorchFunctionMode):
    """Matrix products whose left side has few rows are computed with more, and cut."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _PRODUCTS and len(args) > 1 and args[0].ndim == args[1].ndim == 2:
            rows, *rest = args
            return func(_filled(rows, _ROWS), *rest, **kwargs)[: len(rows)]
        return func(*args, **kwargs)


_PRODUCTS = (F.linear, torch.matmul, torch.mm, Tensor.matmul, Tensor.__matmul__)


def _filled(x: Tensor, least: int) -> Tensor:
    """With copies of the last row, so that there are at least so many."""
    missing = least - len(x)
    return x if missing <= 0 else torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])


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
