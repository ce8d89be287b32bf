"""``compd corpus minimise``: the same flips by smaller changes, and fewer of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import remembering, with_memory
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["minimise"]


@takes_pair()
def minimise(
    named: LayeredOptions,
    directory: o.CorpusDir = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Corpus for the smaller entries; the same command goes on where it was. "
            "Default: CORPUS-min, or with --subset: none, entries stay as they are.",
        ),
    ] = None,
    subset: Annotated[
        Path | None,
        typer.Option("--subset", help="Also write a new corpus of the entries that suffice."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(
            "--keep",
            help="What suffices: kinds (one entry of each flip and layer), or distinct "
            "(one of each group of near-duplicates). Default: kinds.",
        ),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", help="Candidates judged for each entry at most.")
    ] = 400,
    eps: Annotated[
        str | None,
        typer.Option(
            "--eps",
            help="Linf bound: 8 or 8/255 levels, 0.03, or none; 1: Linf never rises. Default: "
            "the campaign's.",
        ),
    ] = None,
    keep_severity: Annotated[
        float,
        typer.Option(
            "--keep-severity",
            help="Share of its severity that a smaller entry keeps at least, 0..1; 0: any.",
        ),
    ] = 0.5,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Make each entry's change smaller, with the same two answers.

    Fewest changed pixels first, then smallest Linf, then smallest L2. The corpus itself is only
    read. Exit status 1: an entry could not be minimised (it is named, and still where it was).
    """
    from compd.cli.display import live
    from compd.cli.files import check_folder, check_outputs, find_corpus, write_json
    from compd.cli.render.reduction import print_reduction
    from compd.corpus import Corpus, MinimiseSettings
    from compd.corpus.opening import open_pair_of
    from compd.corpus.reduction import check_keep, reduce

    prepare(threads)
    check_outputs(json=json)
    check_folder(out)
    settings = MinimiseSettings(trials, o.levels(eps), random_seed, keep_severity)
    kept = check_keep(keep, subset)
    o.check_batch(batch)
    store = Corpus(find_corpus(directory))
    named = with_memory(named, store.directory)
    request = named.request()
    if out is None and subset is None:
        found = store.directory.resolve()
        out = Path(os.path.relpath(found.with_name(f"{found.name}-min")))
    with live() as control:
        pair = open_pair_of(store, request, control=control)
        pair.batch = batch
        with (
            control.interruptible(),
            remembering(out, named, request),
            remembering(subset, named, request),
        ):
            result = reduce(
                store, pair, out=out, subset=subset, keep=kept, settings=settings, control=control
            )
    print_reduction(result)
    if json is not None:
        write_json(json, result.to_json())
    if control.stopped:
        return 130
    return 1 if result.left_out else 0
