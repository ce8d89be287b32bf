"""Shifting a batch of images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from compd.errors import InputError, SettingError
from compd.images import check_batch, pixel_hash
from compd.rng import draws_at, seed_key
from compd.shifts.base import Batch, Draws, Frost, Kind, Pixels, Shift
from compd.shifts.naming import kind_of

__all__ = ["apply_shift"]

LEAST_SIDE = 8
_AT_ONCE = 1 << 19  # values that are worked on together: their floats stay in a cache


def apply_shift(
    shift: Shift,
    images: Tensor,
    *,
    random_seed: int = 0,
    hashes: Sequence[str] | None = None,
    frost: Frost | None = None,
) -> Tensor:
    """Shift images.

    What is drawn for an image depends on the random seed, on its pixels, and on the shift alone: it
    gets the same bytes in any batch, in any order.

    Args:
        shift: what to do, and how far; severity 0 changes nothing.
        images: uint8 (N, C, H, W), of C 1 or 3, 8 pixels a side and larger; never changed.
        random_seed: of the draws.
        hashes: of the images, by :func:`compd.images.pixel_hash`; None to compute them.
        frost: photographs for the kind ``frost``, by :func:`compd.shifts.read_frost`; None for a
            synthetic texture.

    Returns:
        uint8 (N, C, H, W), on the device of the images, sharing no memory with them.

    Raises:
        CompdError: if the shift is unknown, or the images are none that it takes.
    """
    check_batch(images)
    kind = kind_of(shift)
    _check(shift, kind, images)
    if shift.severity == 0 or not len(images):
        return images.clone()
    if hashes is not None and len(hashes) != len(images):
        raise SettingError("a hash of each image", hashes=len(hashes), images=len(images))
    pixels = np.ascontiguousarray(images.detach().cpu().numpy()).view()
    pixels.flags.writeable = False
    group = max(1, _AT_ONCE // pixels[0].size)
    out = np.empty_like(pixels)
    for start in range(0, len(pixels), group):
        part = slice(start, start + group)
        draws: Draws = ()
        if kind.random:
            named = [pixel_hash(i.cpu()) for i in images[part]] if hashes is None else hashes[part]
            draws = draws_at(random_seed, [seed_key(name) for name in named], _step(shift))
        batch = Batch(pixels[part], float(shift.severity), draws, frost)
        out[part] = _checked(shift, kind.apply(batch), batch)
    return torch.from_numpy(out).to(images.device)


def _step(shift: Shift) -> int:
    """The counter of a shift's draws."""
    return int(hashlib.sha256(str(shift).encode()).hexdigest()[:16], 16)


def _check(shift: Shift, kind: Kind, images: Tensor) -> None:
    channels, *sides = images.shape[1:]
    if channels not in kind.channels:
        colours = {1: "grey", 3: "RGB"}
        wanted = " or ".join(colours[c] for c in kind.channels)
        raise InputError(
            f"expected {wanted} images for the shift {shift.kind}, got {colours[channels]} ones; "
            "leave that shift out"
        )
    if min(sides) < LEAST_SIDE:
        raise InputError(
            f"expected images of at least {LEAST_SIDE} pixels a side to shift, got "
            f"{sides[0]}x{sides[1]}"
        )


def _checked(shift: Shift, result: Pixels, batch: Batch) -> Pixels:
    """What a kind made, which may be a plug-in."""
    if result.dtype != np.uint8 or result.shape != batch.pixels.shape:
        raise InputError(
            f"expected uint8 images of shape {batch.pixels.shape} from the shift {shift.kind!r}, "
            f"got {result.dtype} {result.shape}; mend that plug-in"
        )
    return result
