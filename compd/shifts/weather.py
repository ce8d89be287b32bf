"""Fog, frost and snow of CIFAR-10-C; arguments and results: as in :mod:`compd.shifts.noise`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compd.shifts.base import Draws, Frost, Pixels, Values, rounded
from compd.shifts.blurs import centre_zoom, streaked
from compd.shifts.colours import grey
from compd.shifts.constants import SMALL_SIDE, Row
from compd.shifts.noise import normal
from compd.shifts.plasma import plasma, power_of_two

__all__ = ["fog", "frost", "snow"]

_TEXTURE = 256  # side of the synthetic frost
_SMALLER = 0.2  # photographs of frost are scaled by this for small images, as published


def fog(x: Values, draws: Draws, row: Row, scale: float, least_map: int = 1) -> Values:
    """Add c times plasma of decay w, and scale so that the brightest value stays about there."""
    c, decay = row
    height, width = x.shape[2:]
    size = max(least_map, power_of_two(max(height, width)))
    layer = plasma(draws, size, decay, (height, width))[:, None]
    most = x.max(axis=(1, 2, 3), keepdims=True)
    out: Values = (x + c * layer) * most / (most + c)
    return out


def snow(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Whiten the image, and add streaks of flakes and the same turned by 180 degrees."""
    mean, deviation, zoom, least, radius, sigma, keep = row
    layer = centre_zoom(mean + deviation * normal(draws, x.shape[2:]), zoom)
    layer[layer < least] = 0
    layer = np.floor(layer.clip(0, 1) * 255) / 255
    angles = [draw.uniform(-135, -45) for draw in draws]
    layer = streaked(layer[:, None], angles, radius * scale, sigma * scale)
    white = np.maximum(x, grey(x) * 1.5 + 0.5)
    return keep * x + (1 - keep) * white + layer + layer[..., ::-1, ::-1]


def frost(x: Values, draws: Draws, row: Row, scale: float, photos: Frost | None = None) -> Values:
    """Mix the image with a random piece of frost: a times the one, and b times the other.

    Args:
        x: values.
        draws: generators.
        row: a and b.
        scale: of lengths.
        photos: of frost; None for a synthetic texture.
    """
    a, b = row
    height, width = x.shape[2:]
    small = max(height, width) <= SMALL_SIDE
    textures = _textures(photos, small, max(height, width))
    pieces = np.empty_like(x)
    for piece, draw in zip(pieces, draws, strict=True):
        texture = textures[draw.integers(len(textures))]
        rows = _place(draw, texture.shape[1], height, wrap=photos is None)
        columns = _place(draw, texture.shape[2], width, wrap=photos is None)
        piece[...] = _in_channels(texture[:, rows][:, :, columns] / 255, x.shape[1])
    return a * x + b * pieces


def _in_channels(colour: Values, channels: int) -> Values:
    """Of (3, H, W): itself, or its luma as (1, H, W)."""
    return colour if channels == 3 else grey(colour[None])[0]


def _place(draw: np.random.Generator, of: int, size: int, *, wrap: bool) -> NDArray[np.intp]:
    """Which rows of a texture; the synthetic one has no end."""
    first = int(draw.integers(of if wrap else of - size + 1))
    return (first + np.arange(size)) % of


def _textures(photos: Frost | None, small: bool, side: int) -> Frost:
    """Frost that is large enough for images of that side."""
    if photos is None:
        times = -(-side // _TEXTURE)
        return (_synthetic().repeat(times, 1).repeat(times, 2),)
    return tuple(_scaled(photo, _SMALLER if small else 1, side) for photo in photos)


def _scaled(photo: Pixels, by: float, side: int) -> Pixels:
    """A photograph scaled, but not below the image's side."""
    by = max(by, side / min(photo.shape[1:]))
    if by == 1:
        return photo
    height, width = (max(side, round(by * n)) for n in photo.shape[1:])
    image = Image.fromarray(np.ascontiguousarray(photo.transpose(1, 2, 0)))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC)).transpose(2, 0, 1)


@lru_cache(maxsize=1)
def _synthetic() -> Pixels:
    """Crystals as ridges of plasma, bluish white; periodic, (3, 256, 256)."""
    draws = [np.random.Generator(np.random.Philox(key=key)) for key in range(4)]
    *rough, patches = plasma(draws, _TEXTURE, 1.45, (_TEXTURE, _TEXTURE))
    # along two contours of each surface, and fainter by a tenth from one to the next
    ridges = [(1 - np.abs(4 * one % 2 - 1)) ** 3 * 0.9**i for i, one in enumerate(rough)]
    light = 0.15 + 0.25 * patches + 0.85 * np.max(ridges, axis=0) * (0.35 + 0.65 * patches)
    tint = np.array([0.90, 0.96, 1.0])[:, None, None]
    return rounded(light * tint)
