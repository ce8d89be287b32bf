"""Which images disagree: histograms of scores (Hu et al. 2022, figure 5), and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compd.report.plots.style import CLEAN, figure_of, in_percent, styled
from compd.studies.uncertainty import Separation, UncertaintyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_histograms", "plot_roc"]

_AXES = {
    "entropy": "entropy of the original, nats",
    "gini": "Gini of the original, 1 − Σ p²",
    "margin": "1 − margin of the original",
    "least_confidence": "1 − confidence of the original",
}
_LINES = {
    "margin": ("#d55e00", "-"),
    "least_confidence": ("#0072b2", "--"),
    "gini": ("#009e73", "-."),
    "entropy": ("#333333", ":"),
}
_WORDS = {"least_confidence": "least confidence", "gini": "Gini"}


def plot_histograms(result: UncertaintyResult) -> Figure | None:
    """The original's four scores on clean images, agreeing and disagreeing; None if none differs.

    Each kind adds up to 100 %: agreeing images are many more.
    """
    found = {name: one for name, one in result.clean_original.items() if sum(one.apart)}
    if not found:
        return None
    with styled():
        figure, panels = figure_of(6.2, 4.4, 2, 2, sharey=True)
        for (name, one), axes in zip(found.items(), panels, strict=False):
            edges = np.linspace(0, one.most, len(one.apart) + 1)
            _stairs(axes, one.agreeing, edges, False)
            _stairs(axes, one.apart, edges, True)
            axes.set_xlabel(_AXES.get(name, name))
            axes.set_xlim(0, one.most)
            axes.set_ylim(0, 100)
        for axes in panels[::2]:
            axes.set_ylabel("images of each kind, %")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _stairs(axes: Axes, counts: tuple[int, ...], edges: NDArray[np.float64], apart: bool) -> None:
    total = sum(counts)
    said = f"the models {'differ' if apart else 'agree'} ({total} images)"
    heights = in_percent([count / max(total, 1) for count in counts])
    if apart:
        axes.stairs(heights, edges, color="#d55e00", linewidth=1.5, label=said)
    else:
        axes.stairs(heights, edges, color="#9fbfd6", fill=True, label=said)


def plot_roc(result: UncertaintyResult) -> Figure | None:
    """ROC curves of both models' scores on clean images; None if none differs."""
    sides = {"original": result.clean_original, "deployed model": result.clean_deployed}
    if not any(one.true_positives for side in sides.values() for one in side.values()):
        return None
    clean = result.sets[0]
    with styled():
        figure, panels = figure_of(6.2, 3.4, 1, 2, sharey=True)
        areas = (clean.original, clean.deployed)
        for (who, side), area, axes in zip(sides.items(), areas, panels, strict=True):
            axes.plot([0, 100], [0, 100], color="#aaaaaa", linewidth=0.8)
            for name in (name for name in _LINES if name in side):
                _curve(axes, name, side, area[name].value if name in area else None)
            axes.set_title(f"scores of the {who}")
            axes.set_xlabel("agreeing images above the threshold, %")
            axes.set_xlim(0, 100)
            axes.set_ylim(0, 101)
            axes.set_aspect("equal")
            axes.legend(loc="lower right", title="AUC", title_fontsize=8)
        panels[0].set_ylabel("disagreeing images above it, %")
    return figure


def _curve(axes: Axes, name: str, side: Mapping[str, Separation], area: float | None) -> None:
    colour, line = _LINES.get(name, (CLEAN, "-"))
    said = _WORDS.get(name, name) + ("" if area is None else f" {area:.3f}")
    one = side[name]
    axes.plot(
        in_percent(one.false_positives),
        in_percent(one.true_positives),
        color=colour,
        linestyle=line,
        label=said,
    )
