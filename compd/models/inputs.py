"""From the lattice into a model, and back out as logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.errors import SettingError
from compd.models.products import ROWS, filled

__all__ = [
    "FEWEST",
    "checked_batch",
    "differentiable",
    "fitting",
    "predict",
    "steady",
    "steady_from",
    "to_input",
]

# Below this many images oneDNN picks other kernels for convolutions, which add in another order
# (measured: 1 and 3).
FEWEST = 8
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
    least = steady_from(model)

    def run(x: Tensor) -> Any:
        return _first(model(filled(x, least)), len(x))

    return run


def steady_from(model: Callable[[Tensor], Any]) -> int:
    """From how many images on a float model answers each of them the same.

    As many as matrix products need rows; fewer where a model sees to these itself, and says so as
    its ``steady_from``.
    """
    return int(getattr(model, "steady_from", ROWS))


def _first(value: Any, n: int) -> Any:
    return value[:n] if isinstance(value, Tensor) else tuple(_first(part, n) for part in value)


def fitting(most: int, shape: Sequence[int], *, values: int = _VALUES) -> int:
    """How many images of a size to take at once: fewer than ``most`` where they are large.

    Args:
        most: if they are small.
        shape: (C, H, W); with a zero where it is not known.
        values: in all of them, at most.
    """
    return max(1, min(most, values // max(1, math.prod(shape))))


def checked_batch(number: int) -> int:
    """A number of images a model call.

    Raises:
        SettingError: if it is below 1.
    """
    if number < 1:
        raise SettingError("at least one image a batch", batch=number)
    return number


def differentiable(images: Tensor, *models: Callable[[Tensor], Any]) -> int:
    """How many images of this size to differentiate at once: all results of all layers are kept.

    Args:
        images: (N, C, H, W).
        models: that are differentiated.
    """
    return max(*map(steady_from, models), _DIFFERENTIATED // math.prod(images.shape[1:]))


def predict(
    run: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    batch: int | None = None,
    control: Control = QUIET,
) -> Tensor:
    """Run a model over many images in batches.

    Args:
        run: uint8 (N, C, H, W) -> logits (N, K).
        images: uint8 (N, C, H, W).
        batch: images a call; None for 256, and fewer where they are large.
        control: asked before each call whether to stop.

    Returns:
        float32 logits (N, K) on the CPU.

    Raises:
        Stopped: if it was told to stop.
    """
    batch = batch or fitting(_MOST, images.shape[1:])
    parts = []
    for start in range(0, len(images), batch):
        control.check()
        parts.append(run(images[start : start + batch]).cpu())
    return torch.cat(parts)
