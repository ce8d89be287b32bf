"""DFLARE's seven image operators (Tian et al., TOSEM 2023), on the lattice.

Parameters are those of the published implementation. Where that lets values wrap around in uint8,
these clip. Each operator maps uint8 (C, H, W) to uint8 (C, H, W), of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compd.search.strategies.per_seed import Image

__all__ = ["OPERATORS", "Operator"]

Operator: TypeAlias = Callable[[Image, np.random.Generator], Image]


def gaussian_noise(image: Image, draw: np.random.Generator) -> Image:
    """Add noise of variance 0.1 level², cut to whole levels as published: half go down by one."""
    return _cut(image + draw.normal(0, 0.1**0.5, image.shape))


def salt_and_pepper(image: Image, draw: np.random.Generator) -> Image:
    """Set 0.2 % of the values to white, and 0.2 % to black."""
    count = int(np.ceil(0.002 * image.size))
    flat = image.flatten()
    flat[draw.integers(0, image.size, count)] = 255
    flat[draw.integers(0, image.size, count)] = 0
    return flat.reshape(image.shape)


def multiplicative_noise(image: Image, draw: np.random.Generator) -> Image:
    """Scale each value by a factor of its own; their mean is 0.5 to 1.5, their variance to 0.05."""
    mean, deviation = draw.uniform(-0.5, 0.5), draw.uniform(0, 0.05) ** 0.5
    return _cut(image * (1 + draw.normal(mean, deviation, image.shape)))


def pixel_change(image: Image, draw: np.random.Generator) -> Image:
    """Set up to nine values to anything."""
    count = int(draw.integers(0, 10))
    flat = image.flatten()
    flat[draw.integers(0, image.size, count)] = draw.integers(0, 256, count)
    return flat.reshape(image.shape)


def box_blur(image: Image, draw: np.random.Generator) -> Image:
    """The mean over squares of side 1 to 5."""
    return _round(_windows(image, int(draw.integers(1, 6)), "reflect").mean((3, 4)))


def gaussian_blur(image: Image, draw: np.random.Generator) -> Image:
    """A Gaussian of side 1, 3, 5 or 7, as wide as OpenCV chooses for that side."""
    side = int(draw.choice([1, 3, 5, 7]))
    sigma = 0.3 * ((side - 1) / 2 - 1) + 0.8
    weights = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    windows = _windows(image, side, "reflect")
    return _round(np.einsum("chwij,i,j->chw", windows, weights, weights, optimize=True))


def median_blur(image: Image, draw: np.random.Generator) -> Image:
    """The median over squares of side 1, 3, 5 or 7."""
    side = int(draw.choice([1, 3, 5, 7]))
    windows = _windows(image, side, "edge").reshape(*image.shape, side * side)
    middle: Image = np.partition(windows, side * side // 2, axis=3)[..., side * side // 2]
    return middle


OPERATORS: tuple[Operator, ...] = (
    gaussian_noise,
    salt_and_pepper,
    multiplicative_noise,
    pixel_change,
    box_blur,
    gaussian_blur,
    median_blur,
)


def _windows(image: Image, side: int, border: Literal["reflect", "edge"]) -> Image:
    """(C, H, W, side, side): the square around each pixel; beyond the border as OpenCV has it."""
    before, after = side // 2, (side - 1) // 2
    padded = np.pad(image, ((0, 0), (before, after), (before, after)), mode=border)
    return sliding_window_view(padded, (side, side), axis=(1, 2))


def _cut(values: NDArray[np.floating[Any]]) -> Image:
    image: Image = np.floor(values).clip(0, 255).astype(np.uint8)
    return image


def _round(values: NDArray[np.floating[Any]]) -> Image:
    image: Image = np.rint(values).clip(0, 255).astype(np.uint8)
    return image
