"""Accepted deviations: one a line, and what was read is written the same."""

from __future__ import annotations

from collections.abc import Iterator

from compd.gating import Baseline
from targets.contract import Broken, only_compd_errors

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    b"\t",
    b"\n",
    b"\r\n",
    b"#",
    b"0" * 64,
    b"f" * 64,
    "cat → dog".encode(),
    b"0.40",
    b"1.00",
    b"1e999",
    b"nan",
    b"\x00",
    b"\x1b[31m",
    b"\xff",
    b"\xef\xbb\xbf",
    "\u2028".encode(),
    "\u202e".encode(),
)


def seeds() -> Iterator[bytes]:
    """None, one and two of them."""
    one, two = (f"{digit * 64}\tcat → dog\t0.40\twhy not\n".encode() for digit in "0f")
    yield from (b"", one, one + two)


def entry(data: bytes) -> None:
    """Parse; write; parse that."""
    with only_compd_errors():
        written = Baseline.parse(data, "baseline.txt").to_bytes()
        if Baseline.parse(written, "baseline.txt").to_bytes() != written:
            raise Broken("another baseline came back")
