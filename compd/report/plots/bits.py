"""Swapped answers and lost accuracy by bits (Xia et al. 2021), and how sure of them was."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compd.report.plots.style import (
    CLEAN,
    DEPLOYED,
    ORIGINAL,
    figure_of,
    in_percent,
    shade,
    styled,
)
from compd.studies.bits import BitsResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_bits", "plot_swapped"]


def plot_bits(result: BitsResult) -> Figure:
    """Left: swapped answers and lost accuracy; right: their ratio."""
    bits = [one.weight_bits for one in result.bits]
    swapped = [one.swapped for one in result.bits]
    middle = in_percent([share.share for share in swapped])
    low, high = (in_percent([getattr(share, end) for share in swapped]) for end in ("low", "high"))
    with styled():
        figure, (left, right) = figure_of(6.2, 2.9, 1, 2)
        left.errorbar(
            bits,
            middle,
            yerr=np.maximum([middle - low, high - middle], 0),
            elinewidth=0.8,
            label="swapped answers (95 % interval)",
            **DEPLOYED,
        )
        left.plot(
            bits,
            in_percent([one.error_change for one in result.bits]),
            label="lost accuracy",
            **ORIGINAL,
        )
        left.set_ylabel("images, %")
        left.legend(loc="upper left")
        right.plot(
            bits, _floats([one.ratio for one in result.bits]), **{**ORIGINAL, "color": CLEAN}
        )
        right.set_ylabel("lost accuracy / swapped answers")
        for axes in (left, right):
            axes.axhline(0, color="#888888", linewidth=0.8, zorder=1)
            axes.set_xticks(bits)
            axes.set_xlabel("bits of weights")
            axes.invert_xaxis()
    return figure


def plot_swapped(result: BitsResult) -> Figure:
    """Swapped images by the original's confidence, one histogram a number of bits."""
    columns = min(3, len(result.bits))
    rows = ceil(len(result.bits) / columns)
    with styled():
        figure, panels = figure_of(
            0.5 + 1.95 * columns, 0.5 + 1.5 * rows, rows, columns, sharex=True
        )
        for i, (one, axes) in enumerate(zip(result.bits, panels, strict=False)):
            edges = in_percent(np.linspace(0, 1, len(one.swapped_confidence) + 1))
            axes.stairs(
                one.swapped_confidence, edges, fill=True, color=shade(i + 1, len(result.bits) + 1)
            )
            axes.set_title(f"{one.weight_bits} bits: {one.swapped.count} of {one.images}")
            axes.set_xlim(0, 100)
            axes.set_ylim(0, max(1.0, 1.08 * max(one.swapped_confidence, default=0)))
            if one.median_confidence is not None:
                axes.axvline(100 * one.median_confidence, color=CLEAN, linewidth=1, linestyle="--")
        for i, axes in enumerate(panels):
            axes.tick_params(labelbottom=i + columns >= len(result.bits))
            if i >= len(result.bits):
                axes.set_axis_off()
        figure.supxlabel(
            "confidence of the original on swapped images, % (dashes: median)", size=8.5
        )
        figure.supylabel("images", size=8.5)
    return figure


def _floats(values: list[float | None]) -> NDArray[np.float64]:
    return np.array(values, dtype=float)
