"""What MNIST-C draws over digits, its edges, and the streaks of Langille's study (2024)."""

from __future__ import annotations

import numpy as np

from compd.errors import require_extra
from compd.shifts.base import Batch, Draws, Pixels, Values
from compd.shifts.colours import grey
from compd.shifts.constants import Row

__all__ = ["CANNY", "canny_edges", "dotted_line", "streaks", "stripe", "zigzag"]

_FADES = 2.3  # pixels from the middle of a line, where its brightness has long been 0
_DIGITS = 28  # side of MNIST's images, which lengths refer to


def stripe(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Invert the outer quarters."""
    quarter = x.shape[3] // 4
    out = x.copy()
    for part in (out[..., :quarter], out[..., -quarter:]):
        part[...] = 1 - part
    return out


def dotted_line(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Add a line from the left edge to the right one, of dots two columns wide."""
    height, width = x.shape[2:]
    columns = np.arange(width)
    shown = (columns / scale).astype(int) // 2 % 2 == 0
    lines = []
    for draw in draws:
        left, right = draw.integers(0, _DIGITS - 1, 2) * (height / _DIGITS)
        rows = left + (right - left) * columns / (width - 1)
        lines.append(_line(height, rows, scale) * shown)
    out: Values = x + np.stack(lines)[:, None]
    return out


def zigzag(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Add a zigzag from near the left edge to near the right one."""
    height, width = x.shape[2:]
    at = np.arange(width) * ((_DIGITS - 1) / (width - 1))  # columns of MNIST
    shown = (at >= 2) & (at <= 25)
    peaks = np.arange(4, 30, 4)
    teeth = np.interp(at, [2, *peaks], [0, *(2 - 4 * (np.arange(len(peaks)) % 2))])
    lines = []
    for draw in draws:
        left = draw.integers(0, _DIGITS - 1)
        rows = left + draw.integers(-5, 5) * (at - 2) / 23 + teeth
        lines.append(_line(height, rows * (height / _DIGITS), scale) * shown)
    out: Values = x + np.stack(lines)[:, None]
    return out


def _line(height: int, rows: Values, scale: float) -> Values:
    """A bright line through a row of each column, (H, W)."""
    apart = np.abs(np.arange(height)[:, None] - rows) / (scale * _FADES)
    line: Values = np.maximum(0, 1 + np.log(np.maximum(1 - apart, 1e-9)))
    return line


CANNY = "skimage.feature"  # of the extra


def canny_edges(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """White edges on black."""
    canny = require_extra(CANNY, "study").canny
    edges = np.stack([canny(image[0], sigma=scale) for image in grey(x)])
    return np.broadcast_to(edges[:, None], x.shape).astype(float)


def streaks(batch: Batch, *, vertical: bool, drawn: bool = False) -> Pixels:
    """Black streaks from edge to edge, as many as the level, each 2 % of the side wide.

    Args:
        batch: the images.
        vertical: the way they go.
        drawn: whether their places are drawn, and not spread evenly.
    """
    out = batch.pixels.copy()
    lines = out.swapaxes(2, 3) if vertical else out  # (N, C, across, along)
    side, count = lines.shape[2], int(batch.level)
    thick = max(1, round(0.02 * side))
    even = side * (np.arange(count) + 1) / (count + 1)
    for i, image in enumerate(lines):
        centres = batch.draws[i].uniform(0, side, count) if drawn else even
        for first in np.clip(np.rint(centres - thick / 2).astype(int), 0, side - thick):
            image[:, first : first + thick] = 0
    return out
