"""``compd corpus show``: a picture of entries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o

__all__ = ["show"]


def show(
    entry: Annotated[
        str | None, typer.Argument(help="Start of an entry's hash. Default: the most severe.")
    ] = None,
    directory: o.CorpusDir = None,
    count: Annotated[int, typer.Option("--count", help="How many of the most severe.")] = 4,
    out: Annotated[Path, typer.Option("--out", help="The picture to write.")] = Path("compd.png"),
) -> int:
    """Write a picture of entries.

    Seed, deviation, amplified difference, both models' top answers.
    """
    from compd.cli.files import check_outputs, find_corpus
    from compd.cli.render.corpus import WIDE
    from compd.corpus import Corpus
    from compd.files.outputs import check_output, write_output
    from compd.report import show_entries
    from compd.report.sentence import shift_of

    store = Corpus(find_corpus(directory))
    check_outputs(out=out)
    check_output(out, "out", suffix=".png", new_folder=True)
    sheet = show_entries(store, entry, count)
    for sha256, problem in sheet.left_out.items():
        typer.echo(f"compd: warning: left out {sha256[:12]}: {problem}", err=True)
    write_output(out, sheet.png)
    for record in sheet.records:
        shift = shift_of(record.strategy)
        by = f"  {shift}" if shift else ""
        said = f"{record.flip[:WIDE]}  severity {record.severity:.3f}{by}"
        typer.echo(f"{record.sha256[:12]}  {said}")
    typer.echo(f"picture: {out}")
    return 0
