"""A baseline, for people."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from compd.cli.render.corpus import say_empty
from compd.cli.render.tables import print_line, print_next, print_table
from compd.corpus import Corpus
from compd.gating import Baseline, baseline_of
from compd.search import Verdict
from compd.wording import command

__all__ = ["print_baseline"]


def print_baseline(path: Path, accepted: Baseline, corpus: Corpus) -> None:
    """Print one line for each accepted deviation; of an empty baseline, what fills it."""
    if not accepted:
        print_line(f"{path}: nothing is accepted")
        if any(record.verdict is Verdict.EFFECTIVE for record in corpus):
            named = None if path == baseline_of(corpus.directory) else path
            where = {"corpus": corpus.directory, "baseline": named}
            print_next(command("baseline accept", all=True, reason="…", **where))
        elif not len(corpus):
            say_empty(str(corpus.directory))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("hash", "flip", "severity", "reason"):
        table.add_column(column, overflow="fold")
    for one in accepted.values():
        missing = "" if one.sha256 in corpus else " (no entry in the corpus)"
        table.add_row(one.sha256[:12], one.flip, f"{one.severity:.2f}", one.reason + missing)
    print_table(table)
    print_line(f"{path}: {len(accepted)} accepted")
