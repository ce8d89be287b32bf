"""Whether confidence is accuracy: reliability over how often each confidence occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compd.report.plots.style import DEPLOYED, ORIGINAL, figure_of, in_percent, styled
from compd.statistics import Share
from compd.studies.calibration import Calibrated, CalibrationResult

if TYPE_CHECKING:
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_reliability"]


def plot_reliability(result: CalibrationResult) -> Figure | None:
    """Both models on the first set, the clean images: accuracy by confidence, and a histogram."""
    if not result.sets:
        return None
    one = result.sets[0]
    with styled():
        figure, panels = figure_of(
            6.2, 4.2, 2, 2, sharex=True, sharey="row", gridspec_kw={"height_ratios": [2.6, 1]}
        )
        sides = ((one.original, ORIGINAL, "original"), (one.deployed, DEPLOYED, "deployed model"))
        for i, (side, look, who) in enumerate(sides):
            _reliability(panels[i], side, look)
            panels[i].set_title(f"{who}: ECE {100 * side.ece:.1f} %")
            edges = in_percent(np.linspace(0, 1, len(side.histogram) + 1))
            shares = in_percent([count / one.images for count in side.histogram])
            panels[2 + i].stairs(shares, edges, fill=True, color=look["color"], alpha=0.75)
            panels[2 + i].set_xlabel("confidence, %")
            panels[2 + i].set_xlim(0, 102)
        panels[0].set_ylabel("accuracy, % (95 % interval)")
        panels[2].set_ylabel("images, %")
    return figure


def _reliability(axes: Axes, side: Calibrated, look: dict[str, Any]) -> None:
    bins = [bin_ for bin_ in side.bins if bin_.accuracy is not None]
    shares = [Share.count_of(round((b.accuracy or 0) * b.count), b.count) for b in bins]
    middle = in_percent([share.share for share in shares])
    low, high = (in_percent([getattr(share, end) for share in shares]) for end in ("low", "high"))
    axes.plot([0, 100], [0, 100], color="#888888", linewidth=0.9, label="confidence is accuracy")
    axes.errorbar(
        in_percent([b.confidence for b in bins]),
        middle,
        yerr=np.maximum([middle - low, high - middle], 0),
        elinewidth=0.8,
        label="bins of equal count",
        **look,
    )
    axes.set_ylim(0, 102)
    axes.legend(loc="upper left")
