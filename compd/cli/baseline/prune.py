"""``compd baseline prune``: drop what no longer deviates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair

if TYPE_CHECKING:
    from compd.pair import Pair

__all__ = ["prune"]


@takes_pair()
def prune(
    named: LayeredOptions,
    directory: o.CorpusDir = None,
    file: o.BaselineFile = None,
    everywhere: Annotated[
        bool,
        typer.Option(
            "--everywhere", help="Also what was stored on a machine that may answer otherwise."
        ),
    ] = False,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Remove what no longer deviates; add nothing.

    What the corpus has no entry for is removed, too.
    """
    import compd.gating as library
    from compd.cli.display import live
    from compd.cli.files import find_corpus, prepare_as
    from compd.corpus import Corpus
    from compd.corpus.opening import open_pair_of

    o.check_batch(batch)
    store = Corpus(find_corpus(directory))
    named = with_memory(named, store.directory)
    prepare_as(store, threads)
    path = file or library.baseline_of(store.directory)
    with live() as control:

        def open_pair() -> Pair:
            pair = open_pair_of(store, named.request(), changed=True, control=control)
            pair.batch = batch
            return pair

        done = library.prune(store, path, open_pair, everywhere=everywhere, control=control)
    for one in done.removed:
        typer.echo(f"removed {one.sha256[:12]}  {one.flip}  {one.reason}")
    if done.kept:
        typer.echo(
            f"kept {done.kept} that do not deviate here, but were stored on a machine that may "
            "answer otherwise; --everywhere removes them"
        )
    typer.echo(f"removed: {len(done.removed)}; {path} has {done.lines}")
    return 0
