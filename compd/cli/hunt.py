"""``compd hunt``: a long search that grows a corpus, for a nightly job."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from compd.cli.interrupt import first_interrupt_sets
from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_with_data
from compd.system import prepare

__all__ = ["hunt"]

_STRATEGIES = "boundary,diva"


@takes_pair()
def hunt(
    request: PairRequest,
    directory: o.CorpusDir = None,
    time: Annotated[
        float | None, typer.Option("--time", help="Seconds. Default: 600, unless --rounds is set.")
    ] = None,
    rounds: Annotated[int | None, typer.Option("--rounds", help="Campaigns at most.")] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds of a campaign. Default: all.")
    ] = None,
    strategy: Annotated[
        str, typer.Option("--strategy", help="As of compd fuzz; several with commas take turns.")
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
        typer.Option("--config", help="Default: the nearest pyproject.toml, [tool.compd.gating]."),
    ] = None,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Search until the time is up, and add what is new to the corpus, each as small as it gets."""
    from dataclasses import replace

    import compd.gating as library
    import compd.search as search
    from compd.cli.display import live
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.tables import print_facts
    from compd.corpus import Corpus, MinimiseSettings
    from compd.errors import SettingError

    prepare(threads)
    check_outputs(json=json)
    if directory is not None and request.names_pair:
        store = Corpus(directory, create=True)
    else:
        store = Corpus(find_corpus(directory))
    policy, _ = library.find_policy(Path.cwd(), config)
    policy = policy.over(
        {"min_severity": min_severity, "goal": goal, "eps": eps, "norm": norm, "strategy": None}
    )
    base = library.settings_for(policy, store)
    settings = [
        replace(base, strategy=search.strategy(name.strip()), limit=seeds)
        for name in strategy.split(",")
        if name
    ]
    if batch is not None and batch < 1:
        raise SettingError("at least one image a batch", batch=batch)
    if (rounds is not None and rounds < 1) or (time is not None and not time > 0):
        raise SettingError("rounds >= 1 and time > 0", rounds=rounds, time=time)
    effort = MinimiseSettings(trials)
    stop = threading.Event()
    with live() as report:
        pair, splits = open_with_data(store, request, report, changed=True)
        with first_interrupt_sets(stop):
            result = library.hunt(
                pair,
                splits.seeds,
                store,
                settings,
                seconds=600.0 if time is None and rounds is None else time,
                rounds=rounds,
                random_seed=random_seed,
                min_severity=policy.min_severity,
                effort=effort,
                batch=batch or 64,
                stop=stop,
                report=report,
            )
    if json is not None:
        write_json(json, {**asdict(result), "corpus": str(store.directory)})
    print_facts(
        "",
        [
            ("pair", pair.spec.label),
            ("corpus", f"{store.directory}, {result.entries} entries"),
            (
                "campaigns",
                f"{result.rounds}, random seeds from {result.first_seed}; next {result.next_seed}",
            ),
            ("seeds", str(result.seeds)),
            ("deviations found", str(result.found)),
            (
                "new to the corpus",
                f"{result.novel}, {result.smaller} of them made smaller, {result.stored} stored",
            ),
            ("seconds", f"{result.seconds:.1f}"),
            (
                "stopped",
                {"time": "the time was up", "rounds": "done"}.get(result.stopped, result.stopped),
            ),
        ],
    )
    if stop.is_set():
        typer.echo(f"what was found lies in {store.directory}-hunt; the next hunt takes it in")
    typer.echo(f"next: compd gate --corpus {store.directory} {request.words}".rstrip())
    return 130 if stop.is_set() else 0
