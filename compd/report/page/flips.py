"""Deviations counted: flips from class to class, and how severe and far they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from compd.corpus import Record
from compd.report.sentence import name_words

__all__ = ["Bar", "Cell", "Matrix", "Row", "Success", "histogram", "matrix_of", "success_of"]

_CLASSES = 12  # rows and columns of a matrix; what is further is summed up
_BARS = 20
_STEPS = 10  # of severity, each with a shade


@dataclass(frozen=True)
class Cell:
    """Flips from one class to another one, or to the rest."""

    count: int
    worst: float  # severity
    shade: int  # 0 (no flip), else 1..10 by the worst severity
    source: int  # number of the class in ``Matrix.names``; -1: the rest
    target: int


@dataclass(frozen=True)
class Row:
    """Flips from one class."""

    name: str
    cells: tuple[Cell, ...]
    total: int


@dataclass(frozen=True)
class Matrix:
    """Flips from each class that the original says to each that the deployed model says."""

    names: Mapping[str, int]  # class -> its number, of all classes that occur
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    totals: tuple[int, ...]  # of columns
    total: int
    summed: int  # classes that are in the row or the column of the rest


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Success:
    """How many seeds are found within a bound, the bound rising."""

    steps: tuple[tuple[float, int], ...]  # distance, seeds found within it; one step a distance
    seeds: int  # that were searched from
    searched: bool  # whether that is known; else it is how many were found


def matrix_of(records: Sequence[Record], names: Sequence[str] = (), most: int = _CLASSES) -> Matrix:
    """Count flips.

    Args:
        records: deviations.
        names: of all classes, where they are few: each has its row and its column, flips or not.
        most: else, rows, and columns: the classes with the most flips have their own, and the
            others share one.
    """
    flips: dict[tuple[str, str], list[float]] = {}
    for record in records:
        key = record.original.name, record.deployed.name
        count = flips.setdefault(key, [0, 0.0])
        count[0] += 1
        count[1] = max(count[1], record.severity)
    occurring = {name for flip in flips for name in flip}
    numbers = {name: i for i, name in enumerate(sorted(occurring.union(names)))}
    if names and occurring.issubset(names):
        sources = {name: i for i, name in enumerate(sorted(set(names), key=_natural))}
        targets = sources
    else:
        sources, targets = _most(flips, 0, most), _most(flips, 1, most)
    cells: dict[tuple[int, int], list[float]] = {}
    for (source, target), (number, severity) in flips.items():
        at = sources.get(source, -1), targets.get(target, -1)
        count = cells.setdefault(at, [0, 0.0])
        count[0] += number
        count[1] = max(count[1], severity)
    across = [*targets, *([None] if any(b < 0 for _, b in cells) else [])]
    down = [*sources, *([None] if any(a < 0 for a, _ in cells) else [])]
    rows = tuple(_row(source, across, (sources, targets), cells, numbers) for source in down)
    return Matrix(
        names=numbers,
        columns=tuple("other" if name is None else name_words(name) for name in across),
        rows=rows,
        totals=tuple(sum(row.cells[k].count for row in rows) for k in range(len(across))),
        total=len(records),
        summed=max(
            len({source for source, _ in flips} - sources.keys()),
            len({target for _, target in flips} - targets.keys()),
        ),
    )


def _most(flips: Mapping[tuple[str, str], list[float]], side: int, most: int) -> dict[str, int]:
    """The classes of one side that flip most, in the order of their names, with their places."""
    counts: Counter[str] = Counter()
    for flip, (number, _) in flips.items():
        counts[flip[side]] += int(number)
    kept = sorted(sorted(counts), key=lambda name: -counts[name])[:most]
    return {name: i for i, name in enumerate(sorted(kept, key=_natural))}


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers in their own order, before names."""
    number = name.isascii() and name.isdigit() and len(name) < 10
    return (0, int(name), "") if number else (1, 0, name)


def _row(
    source: str | None,
    across: Sequence[str | None],
    places: tuple[Mapping[str, int], Mapping[str, int]],
    cells: Mapping[tuple[int, int], list[float]],
    names: Mapping[str, int],
) -> Row:
    found = []
    for target in across:
        at = (
            -1 if source is None else places[0][source],
            -1 if target is None else places[1][target],
        )
        number, worst = cells.get(at, [0, 0.0])
        found.append(
            Cell(
                count=int(number),
                worst=worst,
                shade=min(_STEPS, 1 + int(_STEPS * worst)) if number else 0,
                source=-1 if source is None else names[source],
                target=-1 if target is None else names[target],
            )
        )
    name = "other" if source is None else name_words(source)
    return Row(name, tuple(found), sum(cell.count for cell in found))


def histogram(values: Sequence[float], high: float, bars: int = _BARS) -> tuple[Bar, ...]:
    """Count values in equal ranges from 0 to ``high``; each takes its upper end, not its lower."""
    counts = [0] * bars
    for value in values:
        counts[min(bars - 1, max(0, ceil(bars * value / high - 1e-9) - 1))] += 1
    width = high / bars
    return tuple(Bar(i * width, (i + 1) * width, count) for i, count in enumerate(counts))


def success_of(
    records: Sequence[Record], norm: str, *, searched: int | None, found: int | None
) -> Success:
    """Count seeds by the least distance at which each deviates.

    Args:
        records: deviations.
        norm: ``linf`` (levels of 255) or ``l2`` (length of the change, in levels of 255).
        searched: seeds that a search began from; None if that is not known.
        found: of these, with a deviation. Where the corpus has other ones, too, it says nothing of
            the corpus how many were searched.
    """
    least: dict[str, float] = {}
    for record in records:
        far = float(record.linf) if norm == "linf" else length_of(record)
        least[record.seed_sha256] = min(far, least.get(record.seed_sha256, far))
    ends = sorted(least.values())
    steps = [(far, i + 1) for i, far in enumerate(ends) if i + 1 == len(ends) or ends[i + 1] > far]
    known = searched is not None and found == len(least)
    return Success(tuple(steps), searched if known and searched else len(least), known)


def length_of(record: Record) -> float:
    """A change's L2 as far as it is known: the root mean square of values, in levels of 255."""
    return 255 * record.l2
