"""``compd repair``: a compressed model that deviates less, and the verdict on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.pair import FILE_OPTIONS
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError
from compd.system import prepare

__all__ = ["repair"]


@takes_pair(*FILE_OPTIONS)
def repair(
    named: LayeredOptions,
    corpus: o.CorpusDir = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Directory for the repaired pair. Default: compd-repaired/…"),
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="walk; distil; or paper (the published one).")
    ] = "walk",
    rounds: Annotated[
        int | None, typer.Option("--rounds", help="Rounds of fine-tuning at most. Default: 3.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps a round; at most, with --time.")
    ] = None,
    time: Annotated[
        float | None,
        typer.Option("--time", help="Seconds for the rounds, which share them; the verdict not."),
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", help="Held-out seeds of the verdict's searches. Default: 100."),
    ] = None,
    eps: o.SearchEps = None,
    min_severity: Annotated[
        float | None,
        typer.Option("--min-severity", help="Leave milder entries out; valid ones have none."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Only entries of these classes: cat,dog.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", help="At most so many entries, severest first.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and how long; do nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take a corpus that was made with another pair.")
    ] = False,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    json: o.JsonFile = None,
    report: o.PageFile = None,
    threads: o.Threads = None,
) -> int:
    """Fine-tune the compressed model where it deviates.

    The verdict is measured on images never touched. Ctrl-C saves; the same command then goes on.
    """
    import compd.repairing as library
    from compd.cli.display import live
    from compd.cli.files import (
        check_folder,
        check_outputs,
        default_corpus,
        default_repaired,
        write_json,
    )
    from compd.cli.pages import page_of_repair
    from compd.cli.render.repair import print_plan, print_repair
    from compd.corpus import Corpus
    from compd.corpus.opening import open_with_data
    from compd.pair import check_pair_target
    from compd.pair.requests import names_pair

    prepare(threads)
    check_outputs(json=json, report=report)
    check_folder(out)
    if out is not None:
        check_pair_target(out)
        if named.pair is not None and out.resolve() == named.pair.resolve():
            raise SettingError(
                "another directory than the pair's own",
                advice="the pair stays as it is",
                out=str(out),
            )
    given: dict[str, Any] = {
        "method": library.method(method, steps=steps, lr=lr),
        "rounds": rounds,
        "seconds": time,
        "verdict_seeds": seeds,
        "eps": o.levels(eps),
        "min_severity": min_severity,
        "limit": limit,
        "classes": None if classes is None else tuple(classes.split(",")),
        "random_seed": random_seed,
        "force": force,
    }
    settings = {key: value for key, value in given.items() if value is not None}
    library.RepairSettings(**settings)  # now, not after minutes of training
    store = None if corpus is None else Corpus(corpus)
    if store is not None:
        library.check_corpus(store, force=force)
        named = with_memory(named, store.directory)
    request = named.request()
    with live() as control:
        if store is None or names_pair(request):
            pair, splits = request.open(control)
        else:
            pair, splits = open_with_data(store, request, control=control)
        if store is None:
            store = Corpus(default_corpus(pair))
        if dry_run:
            print_plan(library.plan(pair, store, splits=splits, **settings))
            return 0
        where = out or default_repaired(pair, method.partition(":")[0])
        with control.interruptible():
            result = library.repair(
                pair, store, out=where, splits=splits, control=control, **settings
            )
    print_repair(result, store.directory, trust=bool(pair.spec.code))
    if json is not None:
        write_json(json, result.to_json())
    if report is not None:
        trust = " --trust" if pair.spec.code else ""
        page_of_repair(report, result.to_json(), store, pair, f"--pair {result.pair}{trust}")
    return 0
