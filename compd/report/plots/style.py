"""How all plots look, and how a figure becomes bytes: the same ones for the same figures."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from compd.errors import require_extra
from compd.system.quiet import unlogged
from compd.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "CLEAN",
    "DEPLOYED",
    "ORIGINAL",
    "figure_of",
    "in_percent",
    "name_of",
    "rendered",
    "shade",
    "styled",
]

# Two colours of Okabe and Ito (2008), that the colour-blind tell apart. Printed in grey they are
# alike, so that lines differ by their dashes and points, too.
_BLUE, _ORANGE = "#0072b2", "#d55e00"
CLEAN = "#333333"
ORIGINAL: dict[str, Any] = {
    "color": _BLUE,
    "linestyle": "-",
    "marker": "o",
    "markerfacecolor": "none",
    "markersize": 5.5,
}
DEPLOYED: dict[str, Any] = {"color": _ORANGE, "linestyle": "--", "marker": "s", "markersize": 2.8}
_RAMP = ((0.74, 0.84, 0.92), (0.16, 0.44, 0.68))  # light to dark: an order, in grey as well
_LETTERS = 32  # of a name
_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 8.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.dpi": 130,
    "font.size": 8.5,
    "grid.color": "#e2e2e2",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "savefig.dpi": 130,
    "svg.fonttype": "path",  # looks the same everywhere
    "svg.hashsalt": "compd",  # else identifiers are drawn at random
    "text.parse_math": False,  # a dollar in a set's name is a dollar
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw with these settings, whatever those of the user's own are.

    Raises:
        UnavailableError: if matplotlib is not installed; names the extra.
    """
    with unlogged(), warnings.catch_warnings():  # that it builds a cache of fonts
        require_extra("matplotlib", "plots")
        import matplotlib.style

        warnings.simplefilter("ignore")  # of letters that the font has not
        with matplotlib.style.context(["default", _STYLE]):
            yield


def figure_of(
    width: float, height: float, rows: int = 1, columns: int = 1, **shared: Any
) -> tuple[Figure, list[Axes]]:
    """An empty figure, in inches, and its axes row by row."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **shared)
    return figure, list(axes.flat)


def rendered(figure: Figure, kind: str) -> bytes:
    """A figure as a file: no date and no version in it.

    Args:
        figure: to draw.
        kind: ``png`` or ``svg``.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    unsaid = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
    buffer = io.BytesIO()
    with styled():
        canvas = FigureCanvasAgg(figure) if kind == "png" else FigureCanvasSVG(figure)
        canvas.print_figure(buffer, format=kind, metadata=unsaid[kind])
    return buffer.getvalue()


def shade(rank: int, of: int) -> tuple[float, float, float]:
    """The colour of one of several levels, the lowest lightest."""
    far = rank / (of - 1) if of > 1 else 1.0
    red, green, blue = (low + far * (high - low) for low, high in zip(*_RAMP, strict=True))
    return red, green, blue


def in_percent(values: Any) -> Any:
    """Shares of 0..1 as percentages, a float array; None becomes NaN, which is not drawn."""
    return 100 * np.array(values, dtype=float)


def name_of(text: str) -> str:
    """A set's name, which may be a path, as a label."""
    return shortened(text, _LETTERS)
