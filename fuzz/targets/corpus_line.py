"""One line of a corpus: a record or one line of explanation, and what was read can be written."""

from __future__ import annotations

from collections.abc import Iterator

from compd.corpus.records import Record
from targets.contract import Broken, only_compd_errors
from targets.examples import record_of
from targets.json_shapes import WORDS as JSON_WORDS
from targets.json_shapes import mutate_json as mutate

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    *JSON_WORDS,
    b"file_name",
    b"seed_file_name",
    b"images/",
    b"seeds/",
    b".png",
    b"../",
    b"verdict",
    b"effective",
    b"valid",
    b"severity",
    b"original",
    b"deployed",
    b"label",
    b"name",
    b"confidence",
    b"margin",
    b"top",
    b"linf",
    b"l2",
    b"psnr",
    b"source",
    b"data",
    b"row",
    b"true_label",
    b"strategy",
    b"eps",
    b"norm",
    b"step",
    b"random_seed",
    b"pair",
    b"fingerprint",
    b"trust",
    b"stable",
    b"minimised",
    b"from",
    b"pixels",
    b"values",
    b"settings",
    b"trials",
)


def seeds() -> Iterator[bytes]:
    """Lines that compd wrote."""
    for number in range(3):
        yield record_of(number).to_line().encode()


def entry(data: bytes) -> None:
    """Read the line; write it, and read that."""
    with only_compd_errors():
        try:
            line = data.decode()
        except UnicodeDecodeError:
            return
        record = Record.from_line(line)
        again = Record.from_line(record.to_line())
        if again != record or again.to_line() != record.to_line():
            raise Broken(f"another record came back: {again}")
