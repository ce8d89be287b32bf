"""Results next to each other, and the machine and packages that they came from."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.shown import CampaignShown, GateShown, RepairShown, Result
from compd.report.page.words import interval, percent
from compd.report.sentence import name_words
from compd.statistics import Share
from compd.text import one_line

__all__ = ["Environment", "Past", "environment_of", "history_of"]

_LETTERS = 300  # of a value
_VALUES = 3  # of a key, where entries have several
_KEYS = 80
_HASH = re.compile(r"[0-9a-f]{64}")
_DIGITS = 16  # of it


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


@dataclass(frozen=True)
class Environment:
    """A fingerprint, and what of it changed."""

    rows: tuple[tuple[str, str, str], ...]  # key, now, before (empty: the same)
    since: str  # what it is compared with; empty if there is nothing
    changed: int


def history_of(results: Sequence[Result]) -> list[Past]:
    """A line a result, in their order; none where there is but one."""
    return [_past(one) for one in results] if len(results) > 1 else []


def _past(result: Result) -> Past:
    name, seconds = result.name, f"{result.seconds:.1f}"
    if isinstance(result, CampaignShown):
        share = Share.count_of(result.found, result.seeds) if result.seeds else None
        accuracy = f"{interval(result.original)}; {interval(result.deployed)}"
        return Past(
            name,
            f"search, {result.made}",
            f"{result.found} of {result.seeds} seeds",
            None if share is None else share.share,
            "–" if result.severity_max is None else f"{result.severity_max:.3f}",
            accuracy if result.original is not None else "–",
            seconds,
        )
    if isinstance(result, GateShown):
        counts = ", ".join(f"{count} {status}" for status, count in result.counts.items() if count)
        severity = "–" if result.severity_max is None else f"{result.severity_max:.3f}"
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


def environment_of(results: Sequence[Result], records: Sequence[Record]) -> Environment:
    """Compare the last result's fingerprint with that of the one before, or of the entries.

    Without a result, it is that of the entries, with all values that occur.
    """
    told = [one for one in results if one.fingerprint]
    stored = _stored(records)
    if not told:
        return Environment(tuple((key, value, "") for key, value in stored.items()), "", 0)
    now = told[-1].fingerprint
    before, since = (told[-2].fingerprint, told[-2].name) if len(told) > 1 else (stored, "")
    since = since or ("the stored entries" if stored else "")
    rows = []
    for key in [*now, *(key for key in before if key not in now)][:_KEYS]:
        here, there = _shown(now.get(key, "–")), _shown(before.get(key, "–"))
        other = "" if here == there or key == "batch" or not since else there
        rows.append((name_words(key), here, other))
    rows.sort(key=lambda row: not row[2])
    return Environment(tuple(rows), since, sum(bool(row[2]) for row in rows))


def _stored(records: Sequence[Record]) -> dict[str, str]:
    """The values of all entries' fingerprints."""
    prints = {id(record.fingerprint): record.fingerprint for record in records}  # shared by most
    values: dict[str, list[str]] = {}
    for one in prints.values():
        for key, value in one.items():
            said = _shown(value)
            known = values.setdefault(one_line(key), [])
            if said not in known:
                known.append(said)
    return {key: _several(found) for key, found in list(values.items())[:_KEYS]}


def _several(found: Sequence[str]) -> str:
    more = f" and {len(found) - _VALUES} more" if len(found) > _VALUES else ""
    return ", ".join(found[:_VALUES]) + more


def _shown(value: object) -> str:
    text = json.dumps(value, sort_keys=True) if isinstance(value, Mapping | list) else str(value)
    line = one_line(text) or "–"
    if _HASH.fullmatch(line):
        return f"{line[:_DIGITS]}…"
    return line if len(line) <= _LETTERS else f"{line[: _LETTERS - 1]}…"
