"""``compd fuzz``: the main job, end to end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import remembering
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError, unknown
from compd.system import prepare
from compd.wording import command, setting

if TYPE_CHECKING:
    from compd.cli.display import Display
    from compd.cli.pages import Searched
    from compd.pair.preflight import Preflight
    from compd.pair.requests import PairRequest
    from compd.report import CampaignReport
    from compd.search import SearchSettings

__all__ = ["fuzz"]

_ACCURACY = ("sample", "full")
_SEEDS = 64
# levels of 255 that no eye notices on photographs; on 8 x 8 digits, scaled up, twice as many
_DEFAULT_EPS, _SMALL_EPS = 8, 16


@takes_pair()
def fuzz(
    named: LayeredOptions,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="boundary, diva, pgd, or compd (the paper's); without gradients: blackbox, "
            "dflare, or shift (fog, noise, blur); one of another package. With settings: "
            "boundary:stride=0.5,trials=8, shift:kinds=noise+fog:3.",
        ),
    ] = "boundary",
    eps: Annotated[
        str | None,
        typer.Option(
            "--eps",
            help="Bound: 8 or 8/255 levels (for l2, length of the change), 0.03 of the range, or "
            "none. Default: 8; of digits: 16; shift: none.",
        ),
    ] = None,
    norm: Annotated[
        str,
        typer.Option("--norm", help="linf: each value; l2: the whole length (128 is 0.5 in 0..1)."),
    ] = "linf",
    goal: Annotated[
        str | None,
        typer.Option(
            "--goal",
            help="severe: the most severe of each seed; first: any deviation. Default: severe.",
        ),
    ] = None,
    flip: Annotated[
        str | None, typer.Option("--flip", help="Only this flip between classes: cat:dog.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds to search from, of each pair. Default: 64.")
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
    time: Annotated[
        float | None, typer.Option("--time", help="Seconds to search, of each pair.")
    ] = None,
    wrong_seeds: Annotated[
        str,
        typer.Option(
            "--wrong-seeds", help="Images that the original gets wrong: aside (default) or keep."
        ),
    ] = "aside",
    keep: Annotated[
        str, typer.Option("--keep", help="effective; or valid, which stores valid inputs, too.")
    ] = "effective",
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            help="Where findings go; of several pairs a folder below. Default: compd-corpus/PAIR.",
        ),
    ] = None,
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
    report: o.PageFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Find, prove and store deviations of the compressed model."""
    import compd.search as search
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.pages import page_of_fuzz
    from compd.cli.render.campaign import print_campaigns
    from compd.cli.render.tables import print_line
    from compd.errors import CompdError

    prepare(threads)
    check_outputs(json=json, report=report)
    if accuracy not in _ACCURACY:
        raise unknown("accuracy", accuracy, _ACCURACY)
    name = strategy.partition(":")[0]
    known = search.STRATEGIES.get(name)
    differentiates = known is not None and known.gradients
    usual_eps = eps is None and norm == "linf" and (known is None or known.bounded)
    settings = search.SearchSettings(
        strategy=search.strategy(
            strategy, steps=steps, queries=None if differentiates else queries, coverage=coverage
        ),
        limit=_SEEDS if seeds is None else seeds,
        eps=_DEFAULT_EPS if usual_eps else o.levels(eps, unbounded=None),
        norm=norm,
        goal=goal or ("severe" if keep == "effective" else "first"),
        objective=search.LabelFlip() if flip is None else search.flip(*_classes(flip)),
        wrong_seeds=wrong_seeds,
        random_seed=random_seed,
        keep=keep,
        seconds=time,
        queries=queries if differentiates else None,
    )
    o.check_batch(batch)
    requests = named.requests()
    places = _places(corpus, list(requests))
    how = _How(settings, usual_eps, accuracy, confirm, confirm_on, allow_float, batch)
    searched: list[Searched] = []
    try:
        with live() as control:
            for kind, request in requests.items():
                one = replace(named, compress=kind) if kind else named
                searched.append(_campaign(one, request, places[kind], how, control))
                if control.stopped:
                    break
    except (CompdError, KeyboardInterrupt):
        if searched:  # of the pairs before
            print_campaigns([one.report for one in searched], [])
        raise
    results = [one.report for one in searched]
    most = max(results, key=_how_bad)
    print_campaigns(results, _next_steps(most.corpus) if most.seeds_effective else [])
    if not most.seeds_effective:
        budget = search.STRATEGIES[most.strategy].budget
        more = "" if budget is None else f", more --{budget}"
        wider = "" if most.settings["eps"] is None else ", or a larger --eps"
        print_line(f"nothing deviated so far; try more --seeds{more}{wider}")
    found = [result.to_json() for result in results]
    content = found[0] if len(requests) == 1 else {"results": found}
    if json is not None:
        write_json(json, content)
    if report is not None:
        page_of_fuzz(
            report, content, sorted(searched, key=lambda one: _how_bad(one.report), reverse=True)
        )
    return 130 if control.stopped else 0


@dataclass(frozen=True)
class _How:
    """What holds for the campaigns on all pairs."""

    settings: SearchSettings
    usual_eps: bool  # whether the data say how far images may be changed
    accuracy: str
    confirm: bool
    confirm_on: str | None
    allow_float: bool
    batch: int | None


def _how_bad(report: CampaignReport) -> tuple[float, int]:
    return report.severity_max or 0.0, report.seeds_effective


def _campaign(
    named: LayeredOptions, request: PairRequest, corpus: Path | None, how: _How, control: Display
) -> Searched:
    """Open a pair, check it, search, and store what is found."""
    from compd.cli.files import default_corpus
    from compd.cli.pages import Searched
    from compd.cli.render.check import print_check
    from compd.pair.evaluation import Evaluation
    from compd.pair.runtimes import runtimes_of
    from compd.report import run_campaign

    pair, splits = request.open(control)
    pair.batch = how.batch
    settings = how.settings
    if how.usual_eps and splits.dataset.small:
        settings = replace(settings, eps=_SMALL_EPS)

    def show(preflight: Preflight) -> None:
        if pair.rebuilds and not preflight.warnings:  # the result says what there is to say
            return
        with control.aside():
            print_check(preflight, notes=pair.notes)

    where, evaluated = corpus or default_corpus(pair), list[Evaluation]()
    with control.interruptible(), remembering(where, named, request, new=True):
        report = run_campaign(
            pair,
            splits,
            settings,
            where,
            clean_rows=None if how.accuracy == "full" else settings.clean_rows(len(splits.seeds)),
            replays=how.confirm,
            others=runtimes_of(pair, how.confirm_on if how.confirm else None, named.overrides()),
            allow_float=how.allow_float,
            on_check=show,
            on_evaluation=evaluated.append,
            control=control,
        )
    return Searched(report, evaluated[0], pair.classes, named.words)


def _places(corpus: Path | None, kinds: list[str]) -> dict[str, Path | None]:
    """Where each pair's findings go: a folder of its own where there are several.

    Raises:
        CompdError: now, not after minutes of training, if one cannot be a corpus.
    """
    from compd.corpus import Corpus

    if corpus is None:
        return dict.fromkeys(kinds)
    if len(kinds) == 1:
        Corpus.check(corpus)
        return {kinds[0]: corpus}
    if (corpus / "metadata.jsonl").exists():
        raise SettingError(
            f"expected a folder for the corpora of {' and '.join(kinds)}, got a corpus: "
            f"{str(corpus)!r}; name one compression ({setting('compress', kinds[0])}), or another "
            "folder"
        )
    places = {kind: corpus / re.sub(r"[^\w.=-]", "-", kind) for kind in kinds}
    for place in places.values():
        Corpus.check(place)
    return dict(places)


def _classes(text: str) -> tuple[str, str]:
    before, colon, after = text.partition(":")
    if not (before and colon and after):
        raise SettingError("two classes with a colon (cat:dog)", flip=text)
    return before, after


def _next_steps(corpus: str) -> list[str]:
    return [command("corpus show", corpus=corpus), command("corpus stats", corpus=corpus)]
