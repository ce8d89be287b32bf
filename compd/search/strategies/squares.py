"""Moves that change many pixels at once, without a gradient: squares and stripes at the box's edge.

Square Attack (Andriushchenko et al., ECCV 2020) found that convolutional networks are sensitive to
squares of one colour, and that steps of full size, from edge to edge of the Linf box, are best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compd.search.strategies.per_seed import Image

__all__ = ["Square", "draw_square", "side_after", "stripes"]

# Queries after which the squares' area halves (Andriushchenko et al., section 3.2).
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(frozen=True)
class Square:
    """A square of pixels, and for each channel whether it goes up or down."""

    top: int
    left: int
    side: int
    up: NDArray[np.bool_]  # (C, 1, 1)

    def on(self, image: Image, low: Image, high: Image) -> Image:
        """A copy of an image, (C, H, W), whose square lies at the edges of the box."""
        rows, columns = (
            slice(self.top, self.top + self.side),
            slice(self.left, self.left + self.side),
        )
        moved = image.copy()
        moved[:, rows, columns] = np.where(self.up, high[:, rows, columns], low[:, rows, columns])
        return moved

    def mirrored(self) -> Square:
        """The same square with all channels the other way."""
        return Square(self.top, self.left, self.side, ~self.up)


def side_after(queries: int, area: float, shape: tuple[int, ...]) -> int:
    """Side of the squares after some queries, in pixels.

    Args:
        queries: asked so far.
        area: share of the image, in 0..1, that the first squares cover.
        shape: (C, H, W).
    """
    halvings = int(np.searchsorted(_HALVINGS, queries))
    height, width = shape[1:]
    side = round(math.sqrt(area * height * width / 2**halvings))
    return max(1, min(height, width, side))


def draw_square(draw: np.random.Generator, side: int, shape: tuple[int, ...]) -> Square:
    """Any square of that side inside a (C, H, W) image, any colour."""
    channels, height, width = shape
    top, left = draw.integers(0, [height - side + 1, width - side + 1]).tolist()
    return Square(top, left, side, draw.integers(0, 2, (channels, 1, 1)).astype(bool))


def stripes(draw: np.random.Generator, low: Image, high: Image) -> Image:
    """Columns of one colour each, at the edges of the box: where Square Attack starts."""
    channels, _, width = low.shape
    up = draw.integers(0, 2, (channels, 1, width)).astype(bool)
    return np.where(up, high, low)
