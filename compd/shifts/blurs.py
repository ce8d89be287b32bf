"""Blurs of CIFAR-10-C; arguments and results: as in :mod:`compd.shifts.noise`.

The last argument is how many pixels of the image one pixel of the constants is.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from compd.shifts.base import Draws, Values, cut
from compd.shifts.constants import Row

__all__ = [
    "centre_zoom",
    "defocus_blur",
    "gaussian_blur",
    "glass_blur",
    "motion_blur",
    "smoothed",
    "streaked",
    "zoom_blur",
]

_DIRECT = 49  # taps of a kernel from which on a Fourier transform is faster
_AT_ONCE = 1 << 16  # values that are zoomed together: all of a zoom's steps stay in a cache


def smoothed(x: Values, sigma: float) -> Values:
    """A Gaussian along the last two axes, cut at four deviations; the edge repeats."""
    along = (0.0,) * (x.ndim - 2) + (sigma, sigma)
    out: Values = ndimage.gaussian_filter(x, along, mode="nearest", truncate=4)
    return out


def gaussian_blur(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """A Gaussian of deviation c pixels."""
    (c,) = row
    return smoothed(x, c * scale)


def glass_blur(
    x: Values, draws: Draws, row: Row, scale: float, share: float | None = None
) -> Values:
    """Exchange pixels with near ones between two Gaussians.

    As published, a pixel of a colour image becomes a copy of the near one, since the two sides of
    the exchange are views; grey pixels are exchanged.

    Args:
        x: values.
        draws: generators.
        row: deviation of the Gaussians, how near, passes.
        scale: of lengths.
        share: of the pixels that are exchanged; None for all.
    """
    sigma, near, passes = row
    reach = max(1, round(near * scale))
    pixels = cut(smoothed(x, sigma * scale))
    for image, draw in zip(pixels, draws, strict=True):
        sources = _exchanged(image.shape, draw, reach, int(passes), share)
        image[...] = image.reshape(len(image), -1)[:, sources].reshape(image.shape)
    return smoothed(pixels / 255.0, sigma * scale)


def _exchanged(
    shape: tuple[int, ...], draw: np.random.Generator, reach: int, passes: int, share: float | None
) -> list[int]:
    """Which pixel each pixel is taken from, (H · W).

    Each step needs what the one before it left, so this is a loop; over a list it takes 40 ns a
    step, a tenth of what indexing an array would.
    """
    channels, height, width = shape
    rows = np.arange(height - reach, reach, -1)[:, None]
    columns = np.arange(width - reach, reach, -1)
    here = np.broadcast_to(rows * width + columns, (len(rows), len(columns))).ravel()
    places = list(range(height * width))
    for _ in range(passes):
        down, right = draw.integers(-reach, reach, (2, len(here)))
        there = here + down * width + right
        steps = np.stack([here, there])
        if share is not None:
            steps = steps[:, draw.random(len(here)) < share]
        ours, theirs = steps.tolist()
        if channels == 1:
            for a, b in zip(ours, theirs, strict=True):
                places[a], places[b] = places[b], places[a]
        else:
            for a, b in zip(ours, theirs, strict=True):
                places[a] = places[b]
    return places


def defocus_blur(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """A disc, itself smoothed: its radius, and the deviation of what smooths it."""
    kernel = _disc(row[0] * scale, row[1] * scale)
    if kernel.size <= _DIRECT:
        out: Values = ndimage.convolve(x, kernel[None, None], mode="mirror")
        return out
    reach = len(kernel) // 2
    border = ((0, 0), (reach, reach), (reach, reach))
    padded = [np.pad(image, border, mode="reflect") for image in x]
    return np.stack([fftconvolve(one, kernel[None], "valid", axes=(1, 2)) for one in padded])


def _disc(radius: float, softness: float) -> Values:
    """A disc, of an odd number of pixels a side."""
    reach, least = (1, 8) if radius <= 8 else (2, 0)  # as published
    size = max(math.floor(radius), least)
    line = np.arange(-size, size + 1)
    disc = (line[:, None] ** 2 + line**2 <= radius**2).astype(float)
    disc /= disc.sum()
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * softness**2))
    taps /= taps.sum()
    for axis in (0, 1):
        disc = ndimage.convolve1d(disc, taps, axis=axis, mode="mirror")
    empty = max(0, size - math.floor(radius) - reach)
    return disc[empty : len(disc) - empty, empty : len(disc) - empty]


def motion_blur(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """A streak of radius and deviation, in a direction within 45 degrees of the horizontal."""
    angles = [draw.uniform(-45, 45) for draw in draws]
    return streaked(x, angles, row[0] * scale, row[1] * scale)


def streaked(x: Values, degrees: list[float], radius: float, sigma: float) -> Values:
    """ImageMagick's motion blur: one side of a Gaussian along a direction; the edge repeats.

    It works on files of 8 bits, and so this rounds to levels.

    Args:
        x: values (N, C, H, W).
        degrees: the direction of each image.
        radius: half of the streak's length, pixels.
        sigma: of the Gaussian, pixels.
    """
    i = np.arange(2 * max(1, round(radius)) + 1)
    taps = np.exp(-(i**2) / (2 * sigma**2))
    taps /= taps.sum()
    reach = int(i[taps > 1e-9][-1])
    height, width = x.shape[2:]
    out = np.zeros_like(x)
    for image, blurred, angle in zip(x, out, np.radians(degrees), strict=True):
        down = np.ceil(i * np.sin(angle) - 0.5).astype(int)
        right = np.ceil(i * np.cos(angle) - 0.5).astype(int)
        padded = np.pad(image, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
        for tap, y, z in zip(taps[: reach + 1], reach + down, reach + right, strict=False):
            blurred += tap * padded[:, y : y + height, z : z + width]
    return np.rint(out * 255) / 255


def zoom_blur(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """The mean of the image and of its centre zooms, 1 among them, by steps of d up to e."""
    step, most = row
    # The published factors come of NumPy's arange, whose steps are a difference: 1.25 is a last bit
    # above itself, which makes a zoomed image one pixel larger.
    factors: Values = 1 + ((1 + step) - 1) * np.arange(round((most - 1) / step) + 1, dtype=float)
    group = max(1, _AT_ONCE // x[0].size)
    return np.concatenate(
        [_zooms(x[i : i + group], factors) / (len(factors) + 1) for i in range(0, len(x), group)]
    )


def _zooms(x: Values, factors: Values) -> Values:
    """The sum of some images and of all their zooms."""
    # (H, W, N · C): then a zoom copies pieces of memory along either axis
    last = np.ascontiguousarray(x.reshape(-1, *x.shape[2:]).transpose(1, 2, 0))
    total = last.copy()
    for factor in factors:
        total += _zoomed(last, float(factor))
    out: Values = total.transpose(2, 0, 1).reshape(x.shape)
    return out


def centre_zoom(x: Values, factor: float) -> Values:
    """The centre of (K, H, W), enlarged linearly to the same size."""
    return _zoomed(np.ascontiguousarray(x.transpose(1, 2, 0)), factor).transpose(2, 0, 1)


def _zoomed(x: Values, factor: float) -> Values:
    """The centre of (H, W, K), enlarged linearly to the same size."""
    if factor == 1:
        return x
    height, width, depth = x.shape
    low, high, share = _samples(height, factor)
    first, second = x[low], x[high]
    first += share[:, None, None] * (second - first)
    low, high, share = _samples(width, factor)
    second = first.take(high, axis=1)
    first = first.take(low, axis=1)
    # a weight for each value, so that the inner loop is a whole line
    first += np.repeat(share, depth).reshape(width, depth) * (second - first)
    return first


def _samples(size: int, factor: float) -> tuple[NDArray[np.intp], NDArray[np.intp], Values]:
    """Two neighbours of each pixel of a line in the line before zooming, and the second's share.

    As published: the middle ``ceil(size / factor)`` pixels are enlarged so that first and last
    stay first and last, and the result is cut to size.
    """
    middle = math.ceil(size / factor)
    enlarged = round(middle * factor)
    first = (enlarged - size) // 2
    at = np.arange(first, first + size) * ((middle - 1) / max(1, enlarged - 1))
    low = np.minimum(np.floor(at).astype(np.intp), middle - 1)
    high = np.minimum(low + 1, middle - 1)
    top = (size - middle) // 2
    return top + low, top + high, at - low
