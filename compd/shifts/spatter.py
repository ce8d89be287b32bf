"""Spatter of CIFAR-10-C: drops of water, or mud; arguments: as in :mod:`compd.shifts.noise`."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from compd.shifts.base import Draws, Values
from compd.shifts.blurs import smoothed
from compd.shifts.colours import grey
from compd.shifts.constants import Row
from compd.shifts.noise import normal

__all__ = ["spatter"]

_WATER = np.array([175, 238, 238]) / 255
_MUD = np.array([63, 42, 20]) / 255
_GREY_MUD = np.array([63]) / 255  # as MNIST-C has it
_RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
_WEAK, _STRONG = 50, 150  # gradients of edges, of which strong ones start, and weak ones go on
_FAR = 20  # pixels from an edge


def spatter(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Cover the image where a smoothed normal layer is high.

    The row: mean and deviation of the layer, deviation of the Gaussian that smooths it, threshold,
    strength (mud: deviation of its edge), and 0 for water or 1 for mud.
    """
    mean, deviation, sigma, least, strength, mud = row
    layer = smoothed(mean + deviation * normal(draws, x.shape[2:]), sigma * scale)
    layer[layer < least] = 0
    if mud:
        mask = smoothed((layer > least).astype(float), strength * scale)
        mask[mask < 0.8] = 0
        cover = mask[:, None]
        muddy: Values = x * (1 - cover) + cover * _colour(_MUD, _GREY_MUD, x.shape[1])
        return muddy
    drops = np.stack([_drops(np.floor(one.clip(0, 1) * 255)) for one in layer])
    most = drops.max(axis=(1, 2), keepdims=True)
    drops *= strength / np.where(most == 0, 1, most)
    water = _colour(_WATER, grey(_WATER[None, :, None, None]).ravel(), x.shape[1])
    out: Values = x + drops[:, None] * water
    return out


def _colour(colour: Values, grey_one: Values, channels: int) -> Values:
    return np.reshape(colour if channels == 3 else grey_one, (channels, 1, 1))


def _drops(layer: Values) -> Values:
    """How much water lies where, in no unit: the layer in levels, lit at its edges."""
    far = np.minimum(_distances(_edges(layer)), _FAR)
    even = _equalised(np.floor(ndimage.uniform_filter(far, 3, mode="mirror") + 1e-6).astype(int))
    lit = ndimage.correlate(even, _RELIEF, mode="mirror").clip(0, 255)
    drops: Values = layer * np.rint(ndimage.uniform_filter(lit.astype(float), 3, mode="mirror"))
    return drops


def _distances(edges: Values) -> Values:
    """From each pixel to the nearest edge; far where there is none."""
    if not edges.any():
        return np.full(edges.shape, float(_FAR))
    out: Values = ndimage.distance_transform_edt(edges == 0)
    return out


def _edges(layer: Values) -> Values:
    """Canny's edges of levels, by Sobel gradients without a Gaussian, as OpenCV finds them."""
    down = ndimage.sobel(layer, 0, mode="nearest")
    right = ndimage.sobel(layer, 1, mode="nearest")
    size = np.abs(down) + np.abs(right)
    padded = np.pad(size, 1)
    height, width = layer.shape

    def beside(y: int, z: int) -> Values:
        return padded[1 + y : 1 + y + height, 1 + z : 1 + z + width]

    steep, flat = np.abs(down) > 2.4142 * np.abs(right), np.abs(down) < 0.4142 * np.abs(right)
    falling = (down < 0) != (right < 0)
    ways = [flat, steep, falling, np.ones_like(flat)]
    before = np.select(ways, [beside(0, -1), beside(-1, 0), beside(-1, 1), beside(-1, -1)])
    after = np.select(ways, [beside(0, 1), beside(1, 0), beside(1, -1), beside(1, 1)])
    ridge = (size > _WEAK) & (size > before) & (size >= after)
    labels, count = ndimage.label(ridge, np.ones((3, 3)))
    strong = np.zeros(count + 1, bool)
    strong[labels[ridge & (size > _STRONG)]] = True
    edges: Values = strong[labels].astype(float)
    return edges


def _equalised(levels: Values) -> Values:
    """Levels spread so that each is about as frequent."""
    counts = np.bincount(levels.ravel().astype(int), minlength=256)
    first = int(counts.nonzero()[0][0])
    rest = levels.size - counts[first]
    if rest == 0:
        return levels
    counts[first] = 0
    even: Values = np.rint(counts.cumsum() * (255 / rest))[levels.astype(int)]
    return even
