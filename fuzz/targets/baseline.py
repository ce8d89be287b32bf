"""Accepted deviations: one a line, and what was read is written the same."""

from __future__ import annotations

from collections.abc import Iterator

from targets.contract import Broken, only_compd_errors

try:
    from compd.gate.baseline import Baseline
except ImportError:
    Baseline = None
    MISSING = "there is no compd.gate.baseline yet"

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    b"\t", b"\n", b"\r\n", b"#", b"0" * 64, b"f" * 64, "cat → dog".encode(), b"0.4", b"1e999",
    b"nan", b"\x00", b"\x1b[31m", b"\xff", b"\xef\xbb\xbf", "\u2028".encode(), "\u202e".encode(),
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    """None, one and two of them."""
    one, two = (f"{digit * 64}\tcat → dog\t0.4\twhy not\n".encode() for digit in "0f")
    yield from (b"", one, one + two)


def entry(data: bytes) -> None:
    """Parse; write; parse that."""
    if Baseline is None:
        return
    with only_compd_errors():
        written = Baseline.parse(data, "baseline.tsv").to_bytes()
        if Baseline.parse(written, "baseline.tsv").to_bytes() != written:
            raise Broken("another baseline came back")
