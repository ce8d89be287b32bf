"""``compd fuzz``: the main job, end to end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from compd.cli.interrupt import first_interrupt_sets
from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError, unknown
from compd.system import prepare

__all__ = ["fuzz"]

_ACCURACY = ("sample", "full")
_FULL_CHECK = 500  # images of the check, where all are measured anyway


@takes_pair()
def fuzz(
    request: PairRequest,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="boundary, diva, pgd, or compd (the paper's); without gradients: blackbox or "
            "dflare.",
        ),
    ] = "boundary",
    eps: Annotated[
        int | None,
        typer.Option(
            "--eps", help="Bound in levels of 255 (for l2, length of the change). Default: none."
        ),
    ] = None,
    norm: Annotated[
        str,
        typer.Option("--norm", help="linf: each value; l2: the whole length (128 is 0.5 in 0..1)."),
    ] = "linf",
    goal: Annotated[
        str,
        typer.Option("--goal", help="first: any deviation; severe: the most severe of each seed."),
    ] = "first",
    flip: Annotated[
        str | None, typer.Option("--flip", help="Only this flip between classes: cat:dog.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds to search from. Default: 200.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Steps of the search.")] = None,
    queries: Annotated[
        int | None,
        typer.Option("--queries", help="blackbox, dflare: candidates a seed. Default: 2000."),
    ] = None,
    coverage: Annotated[
        str | None, typer.Option("--coverage", help="none, neuron; boundary: also channel, layer.")
    ] = None,
    time: Annotated[float | None, typer.Option("--time", help="Seconds to search.")] = None,
    keep: Annotated[
        str, typer.Option("--keep", help="effective; or valid, which stores valid inputs, too.")
    ] = "effective",
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    corpus: o.CorpusDir = None,
    confirm: Annotated[
        bool, typer.Option("--confirm/--no-confirm", help="Replay what was found in other ways.")
    ] = True,
    confirm_on: Annotated[
        str | None,
        typer.Option("--confirm-on", help="Further engines or files: x86,onednn,model.onnx."),
    ] = None,
    accuracy: Annotated[
        str,
        typer.Option(
            "--accuracy",
            help="sample: on about as many clean images as seeds; full: on all test rows.",
        ),
    ] = "sample",
    allow_float: o.AllowFloat = False,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Find, prove and store inputs on which the compressed model deviates."""
    import compd.search as search
    from compd.cli.display import live
    from compd.cli.files import check_outputs, default_corpus, write_json
    from compd.cli.render.check import print_check
    from compd.cli.render.tables import print_campaign, warn_if_untrained
    from compd.corpus import Corpus, collect
    from compd.pair.evaluation import evaluate
    from compd.pair.preflight import check
    from compd.pair.runtimes import runtimes_of
    from compd.report import campaign_report

    prepare(threads)
    check_outputs(json=json)
    if accuracy not in _ACCURACY:
        raise unknown("accuracy", accuracy, _ACCURACY)
    settings = search.SearchSettings(
        strategy=search.strategy(strategy, steps=steps, queries=queries, coverage=coverage),
        limit=200 if seeds is None else seeds,
        eps=eps,
        norm=norm,
        goal=goal,
        flip=_flip(flip),
        random_seed=random_seed,
        batch=batch,
        keep=keep,
        seconds=time,
    )
    if corpus is not None:
        Corpus(corpus, create=True)  # now, not after minutes of training
    with live() as report:
        built, splits = request.open(report)
        rows = None if accuracy == "full" else settings.clean_rows(len(splits.seeds))
        look = check(
            built, splits, limit=rows or _FULL_CHECK, allow_float=allow_float, report=report
        )
        if request.deployed is not None:  # what compd made itself is what it says
            look.raise_if_faulty()
    print_check(look, notes=built.notes)
    with live() as report:
        agreement = evaluate(built, splits, limit=rows, report=report)
        stop = threading.Event()
        campaign = search.Campaign(built, splits.seeds, settings, stop=stop, report=report)
        replays = (
            search.StabilityCheck(
                built,
                batch=campaign.batch,
                others=runtimes_of(built, confirm_on, request.overrides()),
            )
            if confirm
            else None
        )
        where = corpus or default_corpus(built)
        store = Corpus(where, create=True)
        with first_interrupt_sets(stop):
            stored = sum(collect(campaign, store, confirm=replays))
    used = {"seeds": splits.seeds.rows, "test": agreement.rows, **built.spec.rows}
    result = campaign_report(
        campaign,
        agreement,
        rows=used,
        corpus=str(where),
        stored=stored,
        stability=replays.counts if replays is not None else None,
    )
    warn_if_untrained(agreement.original_accuracy, len(built.classes))
    print_campaign(result, _next_steps(where, result.seeds_effective, result.settings["strategy"]))
    if json is not None:
        write_json(json, result.to_json())
    return 130 if stop.is_set() else 0


def _flip(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    before, colon, after = text.partition(":")
    if not (before and colon and after):
        raise SettingError("two classes with a colon (cat:dog)", flip=text)
    return before, after


def _next_steps(where: Path, found: int, strategy: Mapping[str, object]) -> list[str]:
    if not found:
        more = "--queries" if "queries" in strategy else "--steps"
        return [f"nothing deviated so far; try more --seeds, more {more}, or a larger --eps if set"]
    return [f"compd corpus show --corpus {where}", f"compd corpus stats --corpus {where}"]
