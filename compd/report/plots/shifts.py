"""Disagreement by kind of shift (Hu et al. 2022), accuracy and KL by level (Langille 2024)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from compd.report.plots.style import (
    CLEAN,
    DEPLOYED,
    ORIGINAL,
    figure_of,
    in_percent,
    name_of,
    shade,
    styled,
)
from compd.shifts import SHIFTS
from compd.studies.shifts import SetFigures, ShiftsResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_accuracy", "plot_disagreement", "plot_divergence"]

_MOST = 40  # kinds
_COLUMNS = 4  # of small plots
_FEW = 5  # levels that have a tick each
_LEVEL = re.compile(r":-?[\d.e+-]+(?=$| )")  # of a set's name


@dataclass(frozen=True)
class _Kind:
    """The sets of one kind, by level; or one set of another source."""

    name: str
    sets: tuple[SetFigures, ...]

    @property
    def worst(self) -> float:
        return max(one.disagreement.share for one in self.sets)

    @property
    def levels(self) -> tuple[float, ...]:
        return tuple(one.severity or 0.0 for one in self.sets)


def _kinds(result: ShiftsResult) -> list[_Kind]:
    """The kinds, that with the most disagreement first."""
    found: dict[str, list[SetFigures]] = {}
    for one in result.sets:
        found.setdefault(_LEVEL.sub("", one.name) if one.kind else one.name, []).append(one)
    kinds = [
        _Kind(name, tuple(sorted(sets, key=lambda one: one.severity or 0.0)))
        for name, sets in found.items()
    ]
    return sorted(kinds, key=lambda kind: (-kind.worst, kind.name))[:_MOST]


def plot_disagreement(result: ShiftsResult) -> Figure:
    """One bar a set with its 95 % interval, grouped by kind; clean images as a line."""
    kinds = _kinds(result)
    bars = sum(len(kind.sets) for kind in kinds)
    with styled():
        figure, (axes,) = figure_of(6.2, 1.1 + 0.145 * bars + 0.11 * len(kinds))
        place, named, ticks, levels = 0.0, [], [], []
        for kind in kinds:
            start = place
            for rank, one in enumerate(kind.sets):
                _bar(axes, place, one, shade(rank, len(kind.sets)))
                if one.severity is not None:
                    ticks.append(place)
                    levels.append(f"{one.severity:g}")
                place += 1
            named.append(((start + place - 1) / 2, name_of(kind.name)))
            place += 0.8
        _clean_line(axes, result.clean)
        axes.set_yticks([at for at, _ in named], [name for _, name in named])
        axes.yaxis.remove_overlapping_locs = False  # a kind and its middle level are at one place
        axes.tick_params("y", length=0, pad=24 if levels else 4)
        axes.set_yticks(ticks, levels, minor=True)
        axes.tick_params("y", which="minor", length=0, pad=3, labelsize=6.5, labelcolor="#555555")
        axes.grid(False, axis="y")
        axes.set_ylim(max(place - 1.1, 0.5), -0.7)
        axes.set_xlim(left=0)
        axes.set_xlabel("images on which the two models differ, % (95 % interval)")
        axes.set_ylabel("shift and its level")
        axes.legend(loc="lower right")
    return figure


def _bar(axes: Axes, place: float, one: SetFigures, colour: tuple[float, float, float]) -> None:
    share = one.disagreement
    around = in_percent([[share.share - share.low], [share.high - share.share]])
    axes.barh(
        place,
        100 * share.share,
        height=0.86,
        color=colour,
        xerr=np.maximum(around, 0),
        error_kw={"elinewidth": 0.8, "ecolor": CLEAN},
    )


def _clean_line(axes: Axes, clean: SetFigures) -> None:
    share = clean.disagreement
    axes.axvspan(100 * share.low, 100 * share.high, color="#e4e4e4", linewidth=0, zorder=0.5)
    axes.axvline(
        100 * share.share, color=CLEAN, linestyle="--", linewidth=1.1, label="clean images"
    )


def plot_accuracy(result: ShiftsResult) -> Figure | None:
    """Accuracy of both models by level, one small plot a kind; None where there is nothing to see.

    Each starts at level 0, the clean images.
    """
    kinds = _graded(result)
    if not kinds or result.clean.accuracy_original is None:
        return None
    with styled():
        figure, panels = _small_plots(kinds)
        for kind, axes in zip(kinds, panels, strict=False):
            sets = (result.clean, *kind.sets)
            at = (0.0, *kind.levels)
            axes.plot(
                at,
                in_percent([one.accuracy_original for one in sets]),
                label="original",
                **ORIGINAL,
            )
            axes.plot(
                at,
                in_percent([one.accuracy_deployed for one in sets]),
                label="deployed",
                **DEPLOYED,
            )
            axes.set_ylim(0, 100)
        figure.supylabel("accuracy, %", fontsize=8.5)
        _legend(figure, panels)
    return figure


def plot_divergence(result: ShiftsResult) -> Figure | None:
    """KL of the original from the deployed model by level, one small plot a kind."""
    kinds = _graded(result)
    if not kinds:
        return None
    with styled():
        figure, panels = _small_plots(kinds)
        for kind, axes in zip(kinds, panels, strict=False):
            sets = (result.clean, *kind.sets)
            axes.plot(
                (0.0, *kind.levels),
                [float("nan") if one.kl is None else one.kl for one in sets],
                **DEPLOYED,
            )
            if all((one.kl or 0) > 0 for one in (result.clean, *result.sets)):
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:g}")
            else:
                axes.set_ylim(bottom=0)
        figure.supylabel("mean KL(original || deployed), nats", fontsize=8.5)
    return figure


def _graded(result: ShiftsResult) -> list[_Kind]:
    """Kinds with two levels or more."""
    return [kind for kind in _kinds(result) if len(kind.sets) > 1 and all(kind.levels)]


def _small_plots(kinds: Sequence[_Kind]) -> tuple[Figure, list[Axes]]:
    rows = ceil(len(kinds) / _COLUMNS)
    columns = ceil(len(kinds) / rows)
    figure, panels = figure_of(
        max(3.4, 0.6 + 1.9 * columns), 0.5 + 1.75 * rows, rows, columns, sharey=True
    )
    for kind, axes in zip(kinds, panels, strict=False):
        axes.set_title(name_of(kind.name))
        axes.set_xlabel(_unit(kind), fontsize=7.5)
        if len(kind.sets) <= _FEW:
            axes.set_xticks((0.0, *kind.levels))
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    return figure, panels


def _unit(kind: _Kind) -> str:
    name = kind.sets[0].kind or ""
    return SHIFTS[name].unit if name in SHIFTS else "level"


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=2)
