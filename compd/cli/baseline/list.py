"""``compd baseline list``: what is accepted, and why."""

from __future__ import annotations

import typer

from compd.cli.options import common as o

__all__ = ["list_accepted"]


def list_accepted(directory: o.CorpusDir = None, file: o.BaselineFile = None) -> int:
    """List what is accepted, with the reasons."""
    from rich.table import Table

    from compd.cli.files import find_corpus
    from compd.cli.render.tables import print_table
    from compd.corpus import Corpus
    from compd.gating import Baseline, baseline_of

    store = Corpus(find_corpus(directory))
    path = file or baseline_of(store.directory)
    accepted = Baseline.load(path)
    table = Table(box=None, pad_edge=False)
    for column in ("hash", "flip", "severity", "reason"):
        table.add_column(column, overflow="fold")
    for one in accepted.values():
        missing = "" if one.sha256 in store else " (no entry in the corpus)"
        table.add_row(one.sha256[:12], one.flip, f"{one.severity:.2f}", one.reason + missing)
    print_table(table)
    typer.echo(f"{path}: {len(accepted)} accepted")
    return 0
