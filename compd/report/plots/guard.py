"""What the guard buys at each threshold: disagreement and coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.report.plots.style import CLEAN, DEPLOYED, ORIGINAL, figure_of, in_percent, styled
from compd.studies.guard import GuardResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_guard"]


def plot_guard(result: GuardResult) -> Figure | None:
    """Held-out rows: above, disagreement among accepted images; below, how many are accepted."""
    curve = [one for one in result.curve if one.accepted]
    if not curve:
        return None
    at = [float(one.name) for one in curve]
    with styled():
        figure, (above, below) = figure_of(4.8, 4.2, 2, 1, sharex=True)
        above.plot(
            at, in_percent([one.disagreement for one in curve]), label="measured", **DEPLOYED
        )
        above.plot(
            at,
            in_percent([one.bound for one in curve]),
            color=DEPLOYED["color"],
            linestyle=":",
            label="at most (95 % bound)",
        )
        above.axhline(100 * result.alpha, color="#888888", linewidth=0.9)
        above.annotate(
            f"α = {100 * result.alpha:g} %",
            (1.0, 100 * result.alpha),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 3),
            textcoords="offset points",
            ha="right",
            color="#555555",
        )
        above.set_ylabel("differ, % of accepted")
        below.plot(at, in_percent([one.coverage for one in curve]), label="coverage", **ORIGINAL)
        below.set_ylabel("accepted, % of images")
        below.set_xlabel("threshold on the deployed model's margin")
        for axes in (above, below):
            axes.set_ylim(bottom=0)
            if result.threshold is not None:
                said = f"chosen: {result.threshold:.2f}"
                axes.axvline(
                    result.threshold, color=CLEAN, linewidth=1.1, linestyle="-.", label=said
                )
        below.set_ylim(0, 105)
        figure.legend(
            *above.get_legend_handles_labels(), loc="outside upper center", ncols=3, columnspacing=1
        )
    return figure
