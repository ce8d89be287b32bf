"""Which rows of which data sets a corpus's entries were found from, in short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from compd.corpus.records import Record

__all__ = ["RowsUsed", "rows_used"]

_ROW = re.compile(r"(\w+)\[(\d{1,18})\]")  # as Split.row() writes it: "test[12]"


@dataclass(frozen=True)
class RowsUsed:
    """The seed rows of one part of one data set."""

    data: str  # name of the data set
    source: str  # the part, such as "test"; "" for rows that are named in another way
    count: int  # different rows
    ranges: tuple[str, ...]  # the rows themselves, each "start:stop" without stop

    def __str__(self) -> str:
        number = f"{self.count} row{'' if self.count == 1 else 's'}"
        if not self.ranges:
            return f"{self.data} {number}"
        span = f"{self.ranges[0].split(':')[0]}:{self.ranges[-1].split(':')[1]}"
        return f"{self.data} {self.source}[{span}], {number}"


def rows_used(records: Iterable[Record]) -> tuple[RowsUsed, ...]:
    """Sum up the seed rows of records, by data set and part, in the order of their names."""
    found: dict[tuple[str, str], set[int | str]] = {}
    for record in records:
        match = _ROW.fullmatch(record.seed_row)
        source, row = (match[1], int(match[2])) if match else ("", record.seed_row)
        found.setdefault((record.seed_data, source), set()).add(row)
    return tuple(
        RowsUsed(data, source, len(rows), _ranges(sorted(r for r in rows if isinstance(r, int))))
        for (data, source), rows in sorted(found.items())
    )


def _ranges(rows: list[int]) -> tuple[str, ...]:
    """Ascending numbers -> runs of neighbours: 3, 4, 7 -> 3:5, 7:8."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and row == runs[-1][1]:
            runs[-1] = (runs[-1][0], row + 1)
        else:
            runs.append((row, row + 1))
    return tuple(f"{start}:{stop}" for start, stop in runs)
