"""Plasma: a periodic random surface by the diamond-square algorithm."""

from __future__ import annotations

import numpy as np

from compd.shifts.base import Draws, Values

__all__ = ["plasma", "power_of_two"]

_AT_ONCE = 1 << 19  # values that are worked on together


def power_of_two(side: int) -> int:
    """The least power of two that is no smaller."""
    return 1 << (side - 1).bit_length()


def plasma(draws: Draws, size: int, decay: float, crop: tuple[int, int]) -> Values:
    """One surface an image, scaled to 0..1 before it is cropped.

    Args:
        draws: one generator an image.
        size: of the surface, a power of two.
        decay: by which the roughness falls at each halving; small is rough.
        crop: rows and columns that are kept.

    Returns:
        (N, rows, columns).
    """
    group = max(1, _AT_ONCE // size**2)
    parts = [
        _surfaces(draws[i : i + group], size, decay, crop) for i in range(0, len(draws), group)
    ]
    return np.concatenate(parts)


def _surfaces(draws: Draws, size: int, decay: float, crop: tuple[int, int]) -> Values:
    # The noise of each point lies where the point does. 32 bits: large maps are a matter of memory.
    noise = np.stack([draw.random((size, size), dtype=np.float32) for draw in draws])
    noise = noise * 2 - 1
    surface = np.zeros_like(noise)
    step, roughness = size, 1.0
    while step >= 2:
        half = step // 2
        corners = surface[:, ::step, ::step]
        middles = surface[:, half::step, half::step]
        across = corners + np.roll(corners, -1, 2)  # a corner and the next one along the row
        middles[...] = (across + np.roll(across, -1, 1)) / 4
        middles += roughness**2 * noise[:, half::step, half::step]
        tops = surface[:, ::step, half::step]
        tops[...] = (across + middles + np.roll(middles, 1, 1)) / 4
        tops += roughness**2 * noise[:, ::step, half::step]
        lefts = surface[:, half::step, ::step]
        lefts[...] = corners + np.roll(corners, -1, 1)
        lefts += middles + np.roll(middles, 1, 2)
        lefts /= 4
        lefts += roughness**2 * noise[:, half::step, ::step]
        step, roughness = half, roughness / decay
    least = surface.min(axis=(1, 2), keepdims=True)
    most = surface.max(axis=(1, 2), keepdims=True)
    kept = surface[:, : crop[0], : crop[1]].astype(np.float64)
    scaled: Values = (kept - least) / (most - least)
    return scaled
