"""Brightness, contrast and saturation of CIFAR-10-C; arguments: as in :mod:`compd.shifts.noise`.

HSV is never made: with value v (the largest channel), least channel l and saturation s = (v - l)/v,
a change of v scales a pixel, and a change of s moves its channels towards v or away from it.
"""

from __future__ import annotations

import numpy as np

from compd.shifts.base import Draws, Values
from compd.shifts.constants import Row

__all__ = ["brightness", "contrast", "grey", "saturate"]


def grey(x: Values) -> Values:
    """Luma, (N, 1, H, W)."""
    if x.shape[1] == 1:
        return x
    luma: Values = 0.299 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]
    return luma


def brightness(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Add c to the value of HSV."""
    (c,) = row
    value = x.max(axis=1, keepdims=True)
    brighter = np.minimum(value + c, 1)
    black = value == 0
    out: Values = np.where(black, brighter, x * (brighter / np.where(black, 1, value)))
    return out


def contrast(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Scale differences from each channel's mean by c."""
    (c,) = row
    mean = np.stack([image.mean(axis=(1, 2), keepdims=True) for image in x])
    out: Values = (x - mean) * c + mean
    return out


def saturate(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Scale the saturation of HSV by a, and add b; what is grey becomes red by b."""
    a, b = row
    value, least = x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True)
    spread = value - least
    is_grey = spread == 0
    red = np.array([0.0, 1, 1])[:, None, None]  # the hue of grey
    away = np.where(is_grey, red, (value - x) / np.where(is_grey, 1, spread))
    saturation = spread / np.where(value == 0, 1, value)
    out: Values = value * (1 - (a * saturation + b).clip(0, 1) * away)
    return out
