"""The machine and the packages that results came from, a column a model, and what changed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.place import Seen, campaign_for
from compd.report.page.shown import CampaignShown, GateShown, Result
from compd.report.sentence import name_words
from compd.text import one_line

__all__ = ["Environment", "EnvironmentRow", "environment_of"]

_LETTERS = 300  # of a value
_VALUES = 3  # of a key, where entries have several
_KEYS = 80
_COLUMNS = 8
_HASH = re.compile(r"[0-9a-f]{64}")
_DIGITS = 16  # of it


@dataclass(frozen=True)
class EnvironmentRow:
    """One value of a fingerprint."""

    key: str
    cells: tuple[tuple[str, str], ...]  # each column's value, and what it was (empty: the same)


@dataclass(frozen=True)
class Environment:
    """Fingerprints."""

    columns: tuple[str, ...]
    rows: tuple[EnvironmentRow, ...]  # what changed first
    notes: tuple[str, ...]  # what each column is compared with
    changed: int


@dataclass(frozen=True)
class _Column:
    title: str
    now: Mapping[str, object]
    before: Mapping[str, object]  # empty: there is nothing to compare with
    since: str


def environment_of(results: Sequence[Result], seen: Sequence[Seen]) -> Environment:
    """Compare the last run of each pair with the run before of the same pair, or with its entries.

    Without a result, there is a column with all values that the entries have.
    """
    columns = _columns(results, seen)
    if not columns:
        stored = _stored([record for one in seen for record in one.records])
        columns = [_Column("the stored entries", stored, {}, "")] if stored else []
    keys = dict.fromkeys(key for one in columns for key in (*one.now, *one.before))
    rows = []
    for key in list(keys)[:_KEYS]:
        cells = tuple(_cell(one, key) for one in columns)
        rows.append(EnvironmentRow(name_words(key), cells))
    rows.sort(key=lambda row: not any(before for _, before in row.cells))
    return Environment(
        columns=tuple(one.title for one in columns),
        rows=tuple(rows),
        notes=tuple(_note(i, columns, rows) for i, one in enumerate(columns) if one.since),
        changed=sum(any(before for _, before in row.cells) for row in rows),
    )


def _columns(results: Sequence[Result], seen: Sequence[Seen]) -> list[_Column]:
    runs: dict[tuple[str, ...], list[Result]] = {}
    for one in results:
        if one.fingerprint:
            runs.setdefault(_pair_of(one), []).append(one)
    last = list(runs.values())[-_COLUMNS:]
    columns = []
    for of_pair in last:
        now = of_pair[-1]
        before: Mapping[str, object] = {}
        since = ""
        if len(of_pair) > 1:
            before, since = of_pair[-2].fingerprint, of_pair[-2].name
        elif stored := _stored(_entries_of(now, tuple(results), seen)):
            before, since = stored, "the stored entries"
        columns.append(_Column(_title(now), now.fingerprint, before, since))
    return columns


def _pair_of(result: Result) -> tuple[str, ...]:
    """What runs of one pair have in common."""
    if isinstance(result, CampaignShown):
        return result.same
    return (type(result).__name__, result.pair)


def _title(result: Result) -> str:
    if isinstance(result, CampaignShown):
        return result.made
    return "the gated pair" if isinstance(result, GateShown) else "the repair"


def _entries_of(
    result: Result, results: tuple[Result, ...], seen: Sequence[Seen]
) -> Sequence[Record]:
    """The entries of the corpus that a search filled, or a gate or a repair began with."""
    if not isinstance(result, CampaignShown):
        return seen[0].records if seen else ()
    for one in seen:
        if campaign_for(one.place, results, alone=len(seen) == 1) is result:
            return one.records
    return ()


def _cell(column: _Column, key: str) -> tuple[str, str]:
    here, there = (_shown(of.get(key, "–")) for of in (column.now, column.before))
    same = here == there or key == "batch" or not column.since
    return here, "" if same else there


def _note(number: int, columns: Sequence[_Column], rows: Sequence[EnvironmentRow]) -> str:
    column = columns[number]
    count = sum(bool(row.cells[number][1]) for row in rows)
    differ = "value differs" if count == 1 else "values differ"
    return f"{column.title}: {count or 'no'} {differ} from {column.since}."


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
