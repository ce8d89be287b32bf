"""What all outputs say of a deviation in the same words."""

from __future__ import annotations

from compd.gating.deviations import Deviation
from compd.gating.result import GateResult
from compd.wording import command

__all__ = ["detail", "look_at", "metadata_of", "plain", "replay_of", "title"]


def title(one: Deviation) -> str:
    """``new deviation: cat → dog, severity 0.31``."""
    record = one.record
    return f"{one.status} deviation: {record.flip}, severity {record.severity:.2f}"


def detail(one: Deviation) -> str:
    """Margins, distance, seed, and why it has its status."""
    record = one.record
    return (
        f"{record.sha256[:12]} from {record.seed_data} {record.seed_row}: original "
        f"{record.original.name} (margin {record.original.margin:.2f}), deployed "
        f"{record.deployed.name} (margin {record.deployed.margin:.2f}), Linf {record.linf}/255; "
        f"{one.why}"
    )


def look_at(one: Deviation, result: GateResult) -> str:
    """The command that shows the picture."""
    where = result.corpus if one.found == "corpus" else result.found
    return command("corpus show", one.record.sha256[:12], corpus=where)


def replay_of(one: Deviation, result: GateResult) -> str:
    """The command that judges it again."""
    from compd.corpus.records import image_file

    where = result.corpus if one.found == "corpus" else result.found
    return f"compd replay {where}/{image_file(one.record.sha256)} {result.options}".rstrip()


def metadata_of(one: Deviation, result: GateResult) -> tuple[str, int]:
    """The file of a checkout that a deviation is shown at, and its line.

    What the search found is in no file of the checkout; it is shown at the top of the corpus's.
    """
    return f"{result.corpus.rstrip('/')}/metadata.jsonl", one.line or 1


def plain(text: str) -> str:
    """Text without control characters, which neither XML nor a log can hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
