"""Images pulled out of shape; arguments and results: as in :mod:`compd.shifts.noise`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from compd.shifts.base import Batch, Draws, Pixels, Values
from compd.shifts.constants import SMALL_SIDE, Row

__all__ = ["elastic_transform", "moved", "rotate", "scale_down", "shear", "translate"]


def elastic_transform(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """An affine map that moves three points, then smooth displacements.

    The row is in units of the side: size of the displacements, deviation of the Gaussian that
    smooths them, how far the points move.
    """
    height, width = x.shape[2:]
    side = max(height, width)
    unit = side if side <= SMALL_SIDE else side * 244 / 224
    size, sigma, reach = (value * unit for value in row)
    centre, square = np.array([height // 2, width // 2]), min(height, width) // 3
    points = centre + square * np.array([[1, 1], [-1, 1], [-1, -1]])  # rows and columns
    grid = np.indices((height, width)).astype(float)
    out = np.empty_like(x)
    for image, new, draw in zip(x, out, draws, strict=True):
        matrix, offset = _backwards(points, points + draw.uniform(-reach, reach, (3, 2)))
        places = np.tensordot(matrix, grid, 1) + offset[:, None, None]
        bent = _sampled(image, places, "mirror")
        if size:
            noise = draw.uniform(-1, 1, (2, height, width))
            bent = _sampled(bent, grid + size * _smooth(noise, sigma), "reflect")
        new[...] = bent
    return out


def _backwards(points: Values, moved_to: Values) -> tuple[Values, Values]:
    """The affine map that takes the second three points to the first."""
    known = np.concatenate([moved_to, np.ones((3, 1))], axis=1)
    solution = np.linalg.solve(known, points)  # (3, 2)
    return solution[:2].T, solution[2]


def _smooth(noise: Values, sigma: float) -> Values:
    """A Gaussian, cut at three deviations, whose border is mirrored with the edge.

    Such a border makes it a product of cosine transforms, which matters where the Gaussian is as
    wide as the image.
    """
    height, width = noise.shape[1:]
    gains = _gains(height, sigma)[:, None] * _gains(width, sigma)
    out: Values = fft.idctn(fft.dctn(noise, axes=(1, 2)) * gains, axes=(1, 2))
    return out


@lru_cache(maxsize=64)
def _gains(size: int, sigma: float) -> Values:
    """What the Gaussian does to each cosine of a line."""
    i = np.arange(1, int(3 * sigma + 0.5) + 1)
    taps = np.exp(-(i**2) / (2 * sigma**2))
    total = 1 + 2 * taps.sum()
    waves = np.cos(np.pi * np.arange(size)[:, None] * i / size)
    gains: Values = (1 + 2 * (waves * taps).sum(axis=1)) / total
    return gains


def _sampled(image: Values, places: Values, border: str) -> Values:
    """(C, H, W) at rows and columns (2, H, W), linearly."""
    planes = [ndimage.map_coordinates(plane, places, order=1, mode=border) for plane in image]
    return np.stack(planes)


def shear(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Shear by c radians, to either side; heights are scaled by the cosine as well."""
    (c,) = row
    angles = [c * _sign(draw) for draw in draws]
    # as scikit-image had it when MNIST-C was made
    return _affine(x, [np.array([[np.cos(a), 0], [-np.sin(a), 1]]) for a in angles])


def rotate(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Turn by c radians, either way."""
    (c,) = row
    angles = [c * _sign(draw) for draw in draws]
    turns = [np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]) for a in angles]
    return _affine(x, turns)


def scale_down(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Shrink to c of the size."""
    return _affine(x, [np.eye(2) / row[0]] * len(x))


def _affine(x: Values, matrices: list[Values]) -> Values:
    """Each image taken from where its matrix sends rows and columns about the centre."""
    height, width = x.shape[2:]
    centre = np.array([height - 1, width - 1])[:, None, None] / 2
    grid = np.indices((height, width)) - centre
    return np.stack(
        [
            _sampled(image, np.tensordot(matrix, grid, 1) + centre, "grid-constant")
            for image, matrix in zip(x, matrices, strict=True)
        ]
    )


def translate(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Move by c pixels down or up, and left or right; black comes in."""
    far = max(1, round(row[0] * scale))
    return np.stack(
        [
            _shifted(image, far * _sign(draw), far * _sign(draw), mode="constant")
            for image, draw in zip(x, draws, strict=True)
        ]
    )


def moved(batch: Batch) -> Pixels:
    """Whole pixels up, down, left or right, as many as the level; the edge repeats."""
    steps = ((-1, 0), (1, 0), (0, -1), (0, 1))
    far = int(batch.level)
    images = []
    for image, draw in zip(batch.pixels, batch.draws, strict=True):
        down, right = steps[draw.integers(4)]
        images.append(_shifted(image, far * down, far * right, mode="edge"))
    return np.stack(images)


def _shifted(image: Values, down: int, right: int, *, mode: str) -> Values:
    """(C, H, W) moved by whole pixels."""
    height, width = image.shape[1:]
    border = ((0, 0), (abs(down), abs(down)), (abs(right), abs(right)))
    padded = np.pad(image, border, mode=mode)  # type: ignore[call-overload]
    top, left = abs(down) - down, abs(right) - right
    out: Values = padded[:, top : top + height, left : left + width]
    return out


def _sign(draw: np.random.Generator) -> int:
    return 2 * int(draw.integers(2)) - 1
