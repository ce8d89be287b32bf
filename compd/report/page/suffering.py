"""Which classes a search flips: of how many seeds, how severely, and to what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compd.corpus import Record
from compd.report.page.shown import CampaignShown, ClassShown
from compd.report.sentence import is_sure, is_very_sure, name_words
from compd.statistics import Share

__all__ = ["Suffering", "SufferingRow", "found_in", "suffering_of"]

_ROWS = 40
_TARGETS = 3  # of a class


@dataclass(frozen=True)
class SufferingRow:
    """One class."""

    name: str
    share: Share | None  # of its seeds, those that flip; None: how many there are is not known
    found: int
    sure: int
    severity: float | None
    to: str  # "8 (5 times), 3 (once)"


@dataclass(frozen=True)
class Suffering:
    """Each class, the worst first."""

    rows: tuple[SufferingRow, ...]
    left: str  # what is said of the classes that have no row
    worst: str  # one sentence of the first; empty if nothing flips
    targets: str  # another one, of where flips go
    known: bool  # whether seeds are known


def found_in(records: Sequence[Record]) -> dict[str, ClassShown]:
    """What a corpus holds of each class, by the worst deviation of each seed.

    Args:
        records: deviations, the most severe first.
    """
    worst: dict[str, Record] = {}
    for record in records:
        worst.setdefault(record.seed_sha256, record)
    classes: dict[str, list[Record]] = {}
    for record in worst.values():
        classes.setdefault(name_words(record.original.name), []).append(record)
    return {
        name: ClassShown(
            seeds=None,
            found=len(of),
            sure=sum(is_sure(one.severity) for one in of),
            very_sure=sum(
                is_very_sure(min(one.original.confidence, one.deployed.confidence)) for one in of
            ),
            severity_max=max(one.severity for one in of),
            becomes=Counter(name_words(one.deployed.name) for one in of),
        )
        for name, of in classes.items()
    }


def suffering_of(
    campaign: CampaignShown | None, records: Sequence[Record], most: int = _ROWS
) -> Suffering:
    """Put the classes in order.

    The worst is that with the highest lower end of the 95 % interval of its share of seeds that
    flip, so that one seed of one does not lead; where seeds are not known, that with the most.

    Args:
        campaign: whose seeds are counted; None, or one that does not count them: the entries are.
        records: deviations, the most severe first.
        most: rows.
    """
    told = campaign.by_class if campaign is not None else None
    classes = found_in(records) if told is None else told
    rows = sorted((_row(name, one) for name, one in classes.items()), key=_order)
    known = told is not None
    rest = rows[most:]
    flips = sum(row.found for row in rest)
    return Suffering(
        rows=tuple(rows[:most]),
        left=f"{len(rest)} other classes, with {flips} flips." if rest else "",
        worst=_worst(rows, classes),
        targets=_targets(classes),
        known=known,
    )


def _row(name: str, one: ClassShown) -> SufferingRow:
    return SufferingRow(
        name=name,
        share=None if one.seeds is None else Share.count_of(one.found, one.seeds),
        found=one.found,
        sure=one.sure,
        severity=one.severity_max,
        to=_names(one.becomes),
    )


def _order(row: SufferingRow) -> tuple[float, int, int, float, tuple[int, int, str]]:
    low = row.share.low if row.share is not None else 0.0
    number = row.name.isascii() and row.name.isdigit() and len(row.name) < 10
    name = (0, int(row.name), "") if number else (1, 0, row.name)
    return (-low, -row.found, -row.sure, -(row.severity or 0.0), name)


def _names(becomes: Mapping[str, int]) -> str:
    order = sorted(becomes.items(), key=lambda one: -one[1])
    more = f" and {len(order) - _TARGETS} more classes" if len(order) > _TARGETS else ""
    return ", ".join(f"{name} ({_times(count)})" for name, count in order[:_TARGETS]) + more


def _worst(rows: Sequence[SufferingRow], classes: Mapping[str, ClassShown]) -> str:
    """Which class suffers most, if one does: what but severity tells apart is no more than luck."""
    if not rows or not rows[0].found:
        return ""
    alike = sum(_order(row)[:3] == _order(rows[0])[:3] for row in rows)
    if alike == 1:
        return _sentence(rows[0], classes[rows[0].name])
    severity = "" if rows[0].severity is None else f", severity {rows[0].severity:.2f}"
    return (
        f"No class stands out: in {alike} of them as many seeds flip; the most severe is one of "
        f"“{rows[0].name}”{severity}."
    )


def _sentence(row: SufferingRow, one: ClassShown) -> str:
    count = f"{row.found} of its {one.seeds} seeds" if one.seeds is not None else _seeds(row.found)
    flips = "flips" if row.found == 1 else "flip"
    sure = f"{row.sure} of them surely" if row.sure else "none of them surely"
    to = f"all become {next(iter(one.becomes))}" if len(one.becomes) == 1 else f"to {row.to}"
    return f"Class “{row.name}” suffers most: {count} {flips}, {sure}; {to}."


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _targets(classes: Mapping[str, ClassShown]) -> str:
    into: Counter[str] = Counter()
    for one in classes.values():
        into.update(one.becomes)
    total = sum(into.values())
    if total < 2:
        return ""
    return f"The {total} flips end most often in {_names(into)}."


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
