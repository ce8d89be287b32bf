"""A study's part of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from compd.report.page.studies.other import (
    bits_charts,
    bits_tables,
    calibration_charts,
    calibration_tables,
    guard_charts,
    guard_lines,
    guard_tables,
    uncertainty_tables,
)
from compd.report.page.studies.shifts import shift_charts, shift_lines, shift_tables
from compd.report.page.studies.training import (
    ensemble_tables,
    formats_tables,
    retraining_tables,
    strategies_tables,
)
from compd.report.page.tables import Table
from compd.studies.run import StudyReport
from compd.text import shortened

__all__ = ["StudyPart", "StudySection", "section_of_study"]

_LETTERS = 300
_FACTS = 40  # of a study that another package brought
_DIGITS = 16  # of a hash


@dataclass(frozen=True)
class StudyPart:
    """One study."""

    title: str
    lines: tuple[str, ...]
    charts: tuple[tuple[str, Markup, str], ...]  # title, picture, note
    tables: tuple[Table, ...]
    code: str = ""  # for a device


@dataclass(frozen=True)
class StudySection:
    """All studies of a run."""

    key: str  # of its anchor: "s1"
    title: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[StudyPart, ...]


@dataclass(frozen=True)
class _Shown:
    title: str
    tables: Callable[[Any], list[Table]]
    charts: Callable[[Any], list[tuple[str, Markup, str]]] = lambda result: []
    lines: Callable[[Any], tuple[str, ...]] = lambda result: ()
    code: Callable[[Any], str] = lambda result: ""


_SHOWN: Mapping[str, _Shown] = {
    "shifts": _Shown("Shifted images", shift_tables, shift_charts, shift_lines),
    "uncertainty": _Shown("Uncertainty", uncertainty_tables),
    "calibration": _Shown("Calibration", calibration_tables, calibration_charts),
    "guard": _Shown(
        "A guard on the device",
        guard_tables,
        guard_charts,
        guard_lines,
        lambda result: shortened(result.device, 2000),
    ),
    "bits": _Shown("Fewer bits of weights", bits_tables, bits_charts),
    "formats": _Shown("Formats", formats_tables),
    "strategies": _Shown("Training strategies", strategies_tables),
    "retraining": _Shown("Training on disagreements", retraining_tables),
    "ensemble": _Shown("Several models instead of one", ensemble_tables),
}


def section_of_study(number: int, report: StudyReport) -> StudySection:
    """Put a study's part together.

    Args:
        number: of the part, from 1.
        report: of the study.
    """
    return StudySection(
        key=f"s{number}",
        title=f"Study of {shortened(report.pair)}",
        facts=_facts(report),
        parts=tuple(_part(name, result) for name, result in report.results.items()),
    )


def _facts(report: StudyReport) -> tuple[tuple[str, str], ...]:
    facts = [
        ("pair", report.pair),
        ("clean images", f"{report.images}, of {report.rows}"),
        ("sets", str(len(report.sets))),
        ("random seed", str(report.random_seed)),
        (
            "original, deployed",
            f"{report.original_sha256[:_DIGITS]}…, {report.deployed_sha256[:_DIGITS]}…",
        ),
    ]
    if report.left_out:
        facts.append(("kinds left out", ", ".join(report.left_out)))
    facts += [(f"no {name}", why) for name, why in report.skipped.items()]
    return tuple((shortened(name, 80), shortened(said, _LETTERS)) for name, said in facts)


def _part(name: str, result: Any) -> StudyPart:
    shown = _SHOWN.get(name)
    if shown is None:  # of another package
        rows = tuple(
            (shortened(key, 80), shortened(str(value), _LETTERS))
            for key, value in list(vars(result).items())[:_FACTS]
        )
        return StudyPart(shortened(name, 80), (), (), (Table("Figures", ("", "value"), rows),))
    return StudyPart(
        shown.title,
        shown.lines(result),
        tuple(shown.charts(result)),
        tuple(shown.tables(result)),
        shown.code(result),
    )
