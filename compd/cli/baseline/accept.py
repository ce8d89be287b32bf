"""``compd baseline accept``: deviations that may pass, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairOptions
from compd.cli.options.takes import takes_pair

if TYPE_CHECKING:
    from compd.pair import Pair

__all__ = ["accept"]


@takes_pair()
def accept(
    named: PairOptions,
    entries: Annotated[
        list[str] | None, typer.Argument(help="Starts of the entries' hashes.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it may pass.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All effective entries that are not accepted yet.")
    ] = False,
    directory: o.CorpusDir = None,
    found: Annotated[
        Path | None,
        typer.Option("--from", help="Take the entries from this corpus, such as the gate's."),
    ] = None,
    file: o.BaselineFile = None,
    threads: o.Threads = None,
) -> int:
    """Accept entries of a corpus as they were stored, or as they are on a pair that is named."""
    import compd.gating as library
    from compd.cli.display import live
    from compd.cli.files import find_corpus, prepare_as
    from compd.corpus import Corpus
    from compd.corpus.opening import open_pair_of
    from compd.errors import SettingError

    if reason is None or not reason.strip():
        raise SettingError("expected a reason to accept a deviation, got none; --reason '…'")
    if bool(entries) == everything:
        raise SettingError("expected the hashes of entries, or --all; see: compd corpus list")
    request, store = named.request(), Corpus(find_corpus(directory))
    path = file or library.baseline_of(store.directory)
    source = store if found is None else Corpus(found)
    with live() as control:

        def open_pair() -> Pair:
            prepare_as(store, threads)
            return open_pair_of(source, request, changed=True, control=control)

        done = library.accept(
            store,
            path,
            reason,
            entries=entries or None,
            source=source,
            open_pair=open_pair if named.names_pair else None,
            control=control,
        )
    for record in done.records:
        typer.echo(f"{record.sha256[:12]}  {record.flip}  severity {record.severity:.2f}")
    if done.passed_over:
        typer.echo(f"passed over: {done.passed_over} that do not deviate")
    typer.echo(f"accepted: {len(done.records)}; {path} has {done.lines}")
    return 0
