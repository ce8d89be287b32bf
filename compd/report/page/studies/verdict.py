"""What stands above a page of studies alone."""

from __future__ import annotations

from collections.abc import Sequence

from compd.report.page.headline import Headline
from compd.report.page.studies.words import in_percent
from compd.studies.guard import GuardResult
from compd.studies.run import StudyReport
from compd.studies.shifts import ShiftsResult
from compd.text import shortened

__all__ = ["headline_of_studies"]


def headline_of_studies(reports: Sequence[StudyReport]) -> Headline:
    """One sentence a study; a study judges nothing, so that the page has no colour."""
    below = [line for one in reports for line in _below(one)]
    return Headline("none", tuple(dict.fromkeys(map(_sentence, reports))), tuple(below))


def _sentence(report: StudyReport) -> str:
    pair = shortened(report.pair)
    result = report.results.get("shifts")
    if not isinstance(result, ShiftsResult):
        return f"Studied: {pair} ({shortened(', '.join(report.results)) or 'nothing applies'})."
    said = f"{pair}: other answers on {in_percent(result.clean.disagreement.share)} of clean images"
    if not result.sets:
        return f"{said}."
    worst = max(result.sets, key=lambda one: one.disagreement.share)
    share = in_percent(worst.disagreement.share)
    return f"{said}, and on {share} of the worst set, {shortened(worst.name, 60)}."


def _below(report: StudyReport) -> list[str]:
    found: list[str] = []
    shifts, guard = report.results.get("shifts"), report.results.get("guard")
    if isinstance(shifts, ShiftsResult):
        losing = shifts.clean.losing
        if losing:
            found.append(f"Classes that lose on clean images: {shortened(', '.join(losing))}.")
    if isinstance(guard, GuardResult) and guard.threshold is not None:
        found.append(
            f"Guard: accept where the deployed model's margin is at least {guard.threshold:.2f}."
        )
    return found
