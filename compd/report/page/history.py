"""Results next to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.report.page.words import interval, percent
from compd.statistics import Share

__all__ = ["Past", "history_of"]


@dataclass(frozen=True)
class Past:
    """A result in the history."""

    name: str
    kind: str
    found: str
    share: float | None  # of seeds, for a bar
    severity: str
    accuracy: str
    seconds: str


def history_of(results: Sequence[Result]) -> list[Past]:
    """A line a result, in their order; none where all are of one run."""
    return [_past(one) for one in results] if len({one.name for one in results}) > 1 else []


def _past(result: Result) -> Past:
    name, seconds = result.name, f"{result.seconds:.1f}"
    if isinstance(result, CampaignShown):
        share = Share.count_of(result.found, result.seeds) if result.seeds else None
        accuracy = f"{interval(result.original)}; {interval(result.deployed)}"
        return Past(
            name,
            f"search: {result.made}",
            f"{result.found} of {result.seeds} seeds",
            None if share is None else share.share,
            "–" if result.severity_max is None else f"{result.severity_max:.2f}",
            accuracy if result.original is not None else "–",
            seconds,
        )
    if isinstance(result, GateShown):
        counts = ", ".join(f"{count} {status}" for status, count in result.counts.items() if count)
        severity = "–" if result.severity_max is None else f"{result.severity_max:.2f}"
        found = f"{result.verdict}: {counts or 'no deviations'}"
        return Past(name, "gate", found, None, severity, "–", seconds)
    return _past_repair(result, name, seconds)


def _past_repair(result: RepairShown, name: str, seconds: str) -> Past:
    found, share = "–", None
    if result.fresh:
        after = result.fresh[0].after
        found, share = f"{result.fresh[0].before.count} → {after.count} of {after.of}", after.share
    accuracy = f"{percent(result.accuracy[1].share)} → {percent(result.accuracy[2].share)}"
    return Past(name, "repair", f"{found} seeds", share, "–", accuracy, seconds)
