"""The lines of a corpus as a stream, within limits that no honest corpus meets.

A file of metadata can come from a stranger: one line of gigabytes, or so many that their reading
takes hours, has to be refused before it is in memory.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

from compd.errors import CompdError, InputError

__all__ = ["LONGEST_LINE", "MOST_BYTES", "MOST_LINES", "lines_of"]

LONGEST_LINE = 1 << 20  # bytes; one with the names of 20,000 classes has half of that
MOST_LINES = 1_000_000
MOST_BYTES = 4 << 30
_CHUNK = 1 << 20  # of reading ahead


def lines_of(
    file: io.FileIO, path: Path, *, start: int, before: int, most: int = MOST_LINES
) -> Iterator[bytes]:
    """Read lines; each ends in a line break but perhaps the last, which a killed writer left torn.

    Args:
        file: a regular file.
        path: of the file, for messages.
        start: where to begin, bytes.
        before: how many lines there are before that.
        most: lines in all.

    Raises:
        CompdError: if a line, their number or the file is larger than the limits.
    """
    size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        raise InputError(
            f"expected a corpus of at most {MOST_BYTES} bytes of metadata, got {size}: {path}; "
            "split it into several"
        )
    _check_number(file, path, start, before, most)
    file.seek(start)
    stream = io.BufferedReader(file, _CHUNK)
    try:
        while line := stream.readline(LONGEST_LINE + 1):
            before += 1
            if len(line) > LONGEST_LINE:
                raise _too_long(path, before)
            yield line
            if not line.endswith(b"\n"):
                break  # a writer may be at it: what comes behind is read the next time
    finally:
        if not file.closed:  # by whoever reads no further
            stream.detach()


def _too_long(path: Path, number: int) -> CompdError:
    return InputError(
        f"expected lines of at most {LONGEST_LINE} bytes, got a longer one: {path} line {number}; "
        "remove that line"
    )


def _check_number(file: io.FileIO, path: Path, start: int, before: int, most: int) -> None:
    """Count before anything is parsed: that takes a thousandth of the time."""
    file.seek(start)
    count = before
    while chunk := file.read(LONGEST_LINE):
        found = chunk.count(b"\n")
        if not found and len(chunk) == LONGEST_LINE:
            raise _too_long(path, count + 1)
        count += found
        if count > most:
            raise InputError(
                f"expected a corpus of at most {most} lines, got more: {path}; split it "
                f"behind line {most}"
            )
