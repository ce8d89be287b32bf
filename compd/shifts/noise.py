"""Noise: of sensors, of transmission, and that of Langille's study (2024).

Functions of CIFAR-10-C take values (N, C, H, W) in 0..1, one generator an image, and a row of
constants; what they return may leave 0..1.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from compd.shifts.base import Batch, Draws, Pixels, Values, rounded
from compd.shifts.constants import Row

__all__ = [
    "awgn",
    "brownian",
    "gaussian_noise",
    "impulse_noise",
    "normal",
    "shot_noise",
    "speckle_noise",
    "uniform",
]


def normal(draws: Draws, shape: tuple[int, ...]) -> Values:
    """Standard normal values of that shape for each image."""
    return np.stack([draw.standard_normal(shape) for draw in draws])


def uniform(draws: Draws, shape: tuple[int, ...]) -> Values:
    """Values uniform in 0..1 of that shape for each image."""
    return np.stack([draw.random(shape) for draw in draws])


def gaussian_noise(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Add normal noise of deviation c."""
    (c,) = row
    return x + c * normal(draws, x.shape[1:])


def shot_noise(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Count photons, of which c make white."""
    (c,) = row
    return np.stack([draw.poisson(one * c) for one, draw in zip(x, draws, strict=True)]) / c


def impulse_noise(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Set a share c of the values, each channel alone, to 0 or 1."""
    (c,) = row
    u = uniform(draws, x.shape[1:])
    return np.where(u < c / 2, 0, np.where(u < c, 1, x))


def speckle_noise(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Scale each value by a factor of mean 1 and deviation c."""
    (c,) = row
    return x * (1 + c * normal(draws, x.shape[1:]))


def awgn(batch: Batch) -> Pixels:
    """Add normal noise whose deviation is the level, cut at three deviations."""
    noise = normal(batch.draws, batch.pixels.shape[1:]).clip(-3, 3)
    return rounded(batch.values + batch.level * noise)


def brownian(batch: Batch, exponent: int = 2) -> Pixels:
    """Add noise whose amplitudes fall with the frequency to that power.

    Langille's formula divides amplitudes by u² + v², which is exponent 2; the text around it
    describes exponent 1. The level is the deviation of what is added, whatever the image's size
    (in a single image it varies, since few frequencies have most of it).
    """
    _, channels, height, width = batch.pixels.shape
    u, v = fft.fftfreq(height, 1 / height), fft.fftfreq(width, 1 / width)
    squares = u[:, None] ** 2 + v**2
    squares[0, 0] = 1
    gains = squares ** (-exponent / 2)
    gains[0, 0] = 0  # the mean stays
    gains *= batch.level / np.sqrt((gains**2).mean())
    half = gains[:, : width // 2 + 1]
    out = batch.values
    for image, draw in zip(out, batch.draws, strict=True):
        white = fft.rfft2(draw.standard_normal((channels, height, width)))
        image += fft.irfft2(white * half, s=(height, width))
    return rounded(out)
