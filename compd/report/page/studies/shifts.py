"""Shifts on a page: disagreement by set, who is right there, and the classes that lose."""

from __future__ import annotations

from markupsafe import Markup

from compd.report.page.studies.charts import intervals
from compd.report.page.studies.words import in_percent, p_value, points, range_of
from compd.report.page.tables import Table
from compd.statistics import Share
from compd.studies.shifts import SetFigures, ShiftsResult
from compd.text import shortened

__all__ = ["shift_charts", "shift_lines", "shift_tables"]

_DRAWN = 24  # sets of a chart
_ROWS = 100  # of a table
_CLASSES = 40
_LEVEL = 0.05


def shift_lines(result: ShiftsResult) -> tuple[str, ...]:
    """What the figures say, in sentences."""
    base = result.clean.disagreement.share
    paired = [one for one in result.sets if one.p_value is not None]
    more = [one for one in paired if _sure(one.p_value) and one.disagreement.share > base]
    fewer = [one for one in paired if _sure(one.p_value) and one.disagreement.share < base]
    found = []
    if paired:
        found.append(
            f"The two models differ more than on the same images clean ({in_percent(base)}), "
            f"beyond chance, on {len(more)} of {len(paired)} shifted sets, and less on "
            f"{len(fewer)}."
        )
    if result.sets and result.clean.flips is not None:
        found.append(
            f"The deployed model has the higher accuracy on {result.better} of "
            f"{len(result.sets)} sets, and the lower on {result.worse}; beyond chance: "
            f"{result.better_surely} and {result.worse_surely}."
        )
    return tuple(found)


def _sure(p: float | None) -> bool:
    return p is not None and p < _LEVEL


def shift_charts(result: ShiftsResult) -> list[tuple[str, Markup, str]]:
    """Disagreement of each set, and how often the original alone is right."""
    drawn = result.sets[:_DRAWN]
    left = len(result.sets) - len(drawn)
    note = f"The {_DRAWN} with most of {len(result.sets)}. " if left else ""
    note += "Lines: 95 % intervals; dashed, with its interval: clean images."
    rows = [(one.name, one.disagreement) for one in drawn]
    clean = result.clean
    charts = []
    if rows:
        picture = intervals(rows, clean.disagreement, what="images with other answers, %")
        charts.append(("Disagreement by shift", picture, note))
    flips = [(one.name, one.negative_flips) for one in drawn if one.negative_flips is not None]
    if flips:
        flips.sort(key=lambda one: -one[1].share)
        charts.append(
            (
                "Negative flips by shift",
                intervals(flips, clean.negative_flips, what="only the original is right, %"),
                "What compression breaks: images of which the original is right, and the deployed "
                "model is not.",
            )
        )
    return charts


def shift_tables(result: ShiftsResult) -> list[Table]:
    """All figures of each set, and the classes that lose."""
    columns = (
        *("set", "original right", "change, points", "differ (95 %)", "times clean"),
        *("p", "only the original right", "only the deployed right", "KL, nats"),
        "clipped",
    )
    shown = [result.clean, *result.sets[:_ROWS]]
    left = len(result.sets) - _ROWS
    tables = [
        Table(
            "Each set",
            columns,
            tuple(_row(one) for one in shown),
            (
                f"The {_ROWS} with most disagreement; {left} more are in the JSON. "
                if left > 0
                else ""
            )
            + "p: McNemar's test against the same images clean, corrected by Holm's method. "
            "Clipped: values beyond the int8 ranges, of the layer with most.",
        )
    ]
    losing = [(one.name, row) for one in shown for row in one.classes if row.name in one.losing]
    named = [(one.name, name) for one in shown for name in one.losing]
    if losing:
        rows = tuple(
            (
                f"{shortened(row.name, 60)} on {shortened(name, 60)}",
                str(row.images),
                str(row.only_original),
                str(row.only_deployed),
                p_value(row.p_value),
            )
            for name, row in losing[:_CLASSES]
        )
        heads = ("class", "images", "only the original right", "only the deployed right", "p")
        more = f" {len(losing) - _CLASSES} more are in the JSON." if len(losing) > _CLASSES else ""
        more = f"p: corrected for the number of classes of a set, and not of sets.{more}"
        tables.append(Table("Classes that lose, beyond chance", heads, rows, more))
    elif named:
        names = tuple((shortened(on, 60), shortened(name, 60)) for on, name in named[:_CLASSES])
        tables.append(Table("Classes that lose, beyond chance", ("set", "class"), names))
    return tables


def _row(one: SetFigures) -> tuple[str, ...]:
    def of(count: int) -> str:
        return range_of(Share.count_of(count, one.images))

    flips = one.flips
    return (
        shortened(one.name, 80),
        in_percent(one.accuracy_original),
        points(one.accuracy_change),
        range_of(one.disagreement),
        "–" if one.factor is None else f"{one.factor:.1f}",
        p_value(one.p_value),
        "–" if flips is None else of(min(flips.only_original, one.images)),
        "–" if flips is None else of(min(flips.only_deployed, one.images)),
        "–" if one.kl is None else f"{one.kl:.4f}",
        in_percent(one.clipped),
    )
