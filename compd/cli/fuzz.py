"""``compd fuzz``: the main job, end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairOptions
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError, unknown
from compd.system import prepare
from compd.wording import command

if TYPE_CHECKING:
    from compd.pair.preflight import Preflight

__all__ = ["fuzz"]

_ACCURACY = ("sample", "full")


@takes_pair()
def fuzz(
    named: PairOptions,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="boundary, diva, pgd, or compd (the paper's); without gradients: blackbox or "
            "dflare; one of another package. With settings: boundary:stride=0.5,trials=8.",
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
        typer.Option(
            "--queries",
            help="blackbox (also where it takes over), dflare: candidates a seed. Default: 2000.",
        ),
    ] = None,
    coverage: Annotated[
        str | None, typer.Option("--coverage", help="compd: none, or neuron (its Algorithm 2).")
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
    """Find, prove and store deviations of the compressed model."""
    import compd.search as search
    from compd.cli.display import live
    from compd.cli.files import check_outputs, default_corpus, write_json
    from compd.cli.render.campaign import print_campaign
    from compd.cli.render.check import print_check
    from compd.cli.render.tables import print_line
    from compd.corpus import Corpus
    from compd.pair.runtimes import runtimes_of
    from compd.report import run_campaign

    prepare(threads)
    check_outputs(json=json)
    if accuracy not in _ACCURACY:
        raise unknown("accuracy", accuracy, _ACCURACY)
    name = strategy.partition(":")[0]
    differentiates = name in search.STRATEGIES and search.STRATEGIES[name].gradients
    settings = search.SearchSettings(
        strategy=search.strategy(
            strategy, steps=steps, queries=None if differentiates else queries, coverage=coverage
        ),
        limit=200 if seeds is None else seeds,
        eps=eps,
        norm=norm,
        goal=goal,
        objective=search.LabelFlip() if flip is None else search.flip(*_classes(flip)),
        random_seed=random_seed,
        keep=keep,
        seconds=time,
        queries=queries if differentiates else None,
    )
    if corpus is not None:
        Corpus.check(corpus)  # now, not after minutes of training
    request = named.request()
    o.check_batch(batch)
    with live() as control:
        pair, splits = request.open(control)
        pair.batch = batch

        def show(preflight: Preflight) -> None:
            with control.aside():
                print_check(preflight, notes=pair.notes)

        with control.interruptible():
            result = run_campaign(
                pair,
                splits,
                settings,
                corpus or default_corpus(pair),
                clean_rows=None if accuracy == "full" else settings.clean_rows(len(splits.seeds)),
                replays=confirm,
                others=runtimes_of(pair, confirm_on if confirm else None, named.overrides()),
                allow_float=allow_float,
                on_check=show,
                control=control,
            )
    print_campaign(result, _next_steps(result.corpus) if result.seeds_effective else ())
    if not result.seeds_effective:
        more = search.STRATEGIES[result.strategy].budget
        print_line(
            f"nothing deviated so far; try more --seeds, more --{more}, or a larger --eps if set"
        )
    if json is not None:
        write_json(json, result.to_json())
    return 130 if control.stopped else 0


def _classes(text: str) -> tuple[str, str]:
    before, colon, after = text.partition(":")
    if not (before and colon and after):
        raise SettingError("two classes with a colon (cat:dog)", flip=text)
    return before, after


def _next_steps(corpus: str) -> list[str]:
    return [command("corpus show", corpus=corpus), command("corpus stats", corpus=corpus)]
