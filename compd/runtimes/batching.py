"""Whether a model's answer to an image depends on the other images of its batch.

Dynamically quantised models compute a range over whatever is in a call; so do normalisations that
use the statistics of a batch. What such a model says of an image in a batch does not hold for that
image alone, so that it is asked one image at a time, wherever a verdict is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

import numpy as np
import torch
from torch import Tensor, nn

from compd.errors import CompdError

__all__ = ["Batching", "batching_of", "dynamic_layers", "probe_images", "split"]

# Rounding in another order changes logits by a millionth of their spread, a range over other images
# by a hundredth.
_APART = 1e-3
_DYNAMIC = ("DynamicQuantize", "quantized.dynamic.")


class Batching(StrEnum):
    """How a model treats several images in one call."""

    ANY = "any"  # answers each as if it were alone
    DEPENDS = "depends"  # answers each by what else is in the call
    ONE = "one"  # takes one image a call


def probe_images(channels: int, height: int, width: int) -> Tensor:
    """Four images of different ranges, the same on each machine: uint8 (4, C, H, W)."""
    noise = torch.from_numpy(
        np.random.default_rng(0).integers(256, size=(4, channels, height, width))
    )
    levels = torch.tensor([[96, 64], [0, 256], [160, 48], [16, 96]])  # least level, width
    low, wide = (levels[:, at].view(-1, 1, 1, 1) for at in (0, 1))
    return (low + noise * wide // 256).clamp(0, 255).to(torch.uint8)


def batching_of(
    run: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    fixed: int | None = None,
    most: int | None = None,
) -> tuple[Batching, Tensor]:
    """Ask a model for images alone and for the same ones together.

    Args:
        run: images (N, C, H, W) -> numbers (N, K).
        images: a few different ones.
        fixed: how many images a call takes, if that is fixed; the rest are copies of the last, and
            where that makes calls long, two of the images are enough.
        most: how many images a call takes, if that is limited.

    Returns:
        What it does, and what it says of each image alone: (N, K).

    Raises:
        CompdError: if it does not answer one image.
    """

    def ask(part: Tensor) -> Tensor:
        return run(_filled(part, fixed))[: len(part)]

    images = images[:2] if fixed is not None and fixed > len(images) else images
    alone = torch.cat([ask(image[None]) for image in images])
    if 1 in (fixed, most):
        return Batching.ONE, alone
    try:
        together = torch.cat(
            [ask(part) for part in torch.split(images, fixed or most or len(images))]
        )
    except CompdError:
        return Batching.ONE, alone
    if together.shape != alone.shape:
        return Batching.ONE, alone
    spread = alone.amax(1) - alone.amin(1)
    spread = spread if alone.shape[1] > 1 else alone.abs().amax(1)
    apart = (together - alone).abs().amax(1) > _APART * spread.clamp_min(1e-12)
    if int(apart.sum()) * 2 <= len(images):  # now and then a rounding is carried on
        return Batching.ANY, alone
    again = ask(images[:1])
    if not torch.equal(again.nan_to_num(), alone[:1].nan_to_num()):
        return Batching.ANY, alone  # it differs from call to call: that is another matter
    return Batching.DEPENDS, alone


def split(images: Tensor, batching: Batching, most: int | None) -> Iterator[Tensor]:
    """The calls in which a model is to be asked about images.

    Args:
        images: (N, C, H, W).
        batching: of the model.
        most: images that a call may have; None for any number.
    """
    step = 1 if batching is not Batching.ANY else most or max(1, len(images))
    yield from torch.split(images, step)


def dynamic_layers(module: nn.Module) -> list[str]:
    """Layers of a module that compute something over the whole batch, by name."""
    return [
        name or type(layer).__name__
        for name, layer in module.named_modules()
        if _uses_batch_statistics(layer)
        or any(mark in f"{type(layer).__module__}.{type(layer).__name__}" for mark in _DYNAMIC)
    ]


def _uses_batch_statistics(layer: nn.Module) -> bool:
    return isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is None


def _filled(part: Tensor, fixed: int | None) -> Tensor:
    missing = 0 if fixed is None else fixed - len(part)
    return torch.cat([part, part[-1:].expand(missing, -1, -1, -1)]) if missing > 0 else part
