"""What other training changes: disagreement against the standard strategy's (Hu et al. 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.report.plots.style import figure_of, name_of, styled
from compd.studies.strategies import StrategiesResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_strategies"]

_MOST = 60  # sets
# colours of Okabe and Ito (2008), each with a marker of its own
_LOOKS = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#333333", "v"),
    ("#56b4e9", "P"),
)
_STANDARD = "standard"


def plot_strategies(result: StrategiesResult) -> Figure | None:
    """By how many images more than of the standard strategy the two differ, set by set.

    The mean over random seeds; None where there is nothing to compare.
    """
    changes: dict[str, dict[str, list[int]]] = {}
    for one in result.strategies:
        if one.strategy != _STANDARD:
            for part in one.sets:
                own = changes.setdefault(one.strategy, {})
                own.setdefault(part.name, []).append(part.more_than_standard)
    sets = list(dict.fromkeys(name for own in changes.values() for name in own))[:_MOST]
    if not sets:
        return None
    with styled():
        figure, (axes,) = figure_of(6.2, 1.2 + 0.19 * len(sets))
        for i, (strategy, own) in enumerate(changes.items()):
            colour, marker = _LOOKS[i % len(_LOOKS)]
            found = [
                (sum(own[name]) / len(own[name]), at) for at, name in enumerate(sets) if name in own
            ]
            axes.plot(
                [change for change, _ in found],
                [at + 0.16 * (i - (len(changes) - 1) / 2) for _, at in found],
                linestyle="none",
                marker=marker,
                markersize=4.5,
                color=colour,
                label=name_of(strategy),
            )
        axes.axvline(0, color="#555555", linewidth=1)
        axes.set_yticks(range(len(sets)), [name_of(name) for name in sets])
        axes.set_ylim(len(sets) - 0.4, -0.6)
        axes.set_xlabel("images with other answers in int8, more than after standard training")
        figure.legend(loc="outside upper center", ncols=3)
    return figure
