"""``compd hunt``: a long search that grows a corpus, for a nightly job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import remembering, with_memory
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError
from compd.system import prepare
from compd.text import names_in

__all__ = ["hunt"]

_STRATEGIES = "boundary,diva"


@takes_pair()
def hunt(
    named: LayeredOptions,
    directory: o.CorpusDir = None,
    time: Annotated[
        float | None, typer.Option("--time", help="Seconds. Default: 600, unless --rounds is set.")
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Campaigns at most.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds of a campaign. Default: all.")
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="As of compd fuzz; several with commas take turns.",
        ),
    ] = _STRATEGIES,
    goal: o.SearchGoal = None,
    eps: o.SearchEps = None,
    norm: o.SearchNorm = None,
    min_severity: Annotated[
        float | None,
        typer.Option("--min-severity", help="The gate's: no entry is made milder than that."),
    ] = None,
    random_seed: Annotated[
        int | None,
        typer.Option("--random-seed", help="Of the first campaign. Default: the corpus's next."),
    ] = None,
    trials: Annotated[
        int, typer.Option("--trials", help="Candidates judged to make an entry smaller, at most.")
    ] = 400,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Default: the nearest pyproject.toml, [tool.compd.gate]."),
    ] = None,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Grow a corpus by searching until the time is up.

    What is new is added, each as small as it gets.
    """
    from dataclasses import asdict, replace

    import compd.gating as library
    import compd.search as search
    from compd.cli.display import live
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.hunt import print_hunt
    from compd.corpus import Corpus, MinimiseSettings
    from compd.corpus.opening import open_with_data

    prepare(threads)
    check_outputs(json=json)
    if directory is not None and named.names_pair:
        store = Corpus(directory, create=True)
    else:
        store = Corpus(find_corpus(directory))
    named = with_memory(named, store.directory)
    policy, _ = library.find_policy(Path.cwd(), config)
    policy = policy.over(
        {"min_severity": min_severity, "goal": goal, "eps": o.levels(eps), "norm": norm}
    )
    base = library.settings_for(replace(policy, strategy=None), store)
    settings = [
        replace(base, strategy=search.strategy(one), limit=seeds) for one in names_in(strategy)
    ]
    o.check_batch(batch)
    if (rounds is not None and rounds < 1) or (time is not None and not time > 0):
        raise SettingError("rounds >= 1 and time > 0", rounds=rounds, time=time)
    minimising, request = MinimiseSettings(trials), named.request()
    with live() as control:
        pair, splits = open_with_data(store, request, changed=True, control=control)
        pair.batch = batch
        with control.interruptible(), remembering(store.directory, named, request, first=True):
            result = library.hunt(
                pair,
                splits.seeds,
                store,
                settings,
                seconds=600.0 if time is None and rounds is None else time,
                rounds=rounds,
                random_seed=random_seed,
                min_severity=policy.min_severity,
                minimising=minimising,
                control=control,
            )
    if json is not None:
        write_json(json, {**asdict(result), "corpus": str(store.directory)})
    print_hunt(result, pair.spec.label, str(store.directory), named.words)
    return 130 if control.stopped else 0
