"""``compd study``: does it matter?"""

from __future__ import annotations

import time as clock
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError, UnavailableError, require_extra
from compd.system import prepare
from compd.wording import setting

if TYPE_CHECKING:
    from compd.pair import Pair
    from compd.studies import ImageSet, StudyReport

__all__ = ["count_of", "study"]


@takes_pair()
def study(
    named: LayeredOptions,
    studies: Annotated[
        str,
        typer.Argument(
            help="With commas: shifts, uncertainty, calibration, guard, bits, formats, "
            "strategies, retraining, ensemble. With settings: strategies:epochs=5,random-seeds=3."
        ),
    ] = "shifts,uncertainty,calibration,guard",
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            help="Shifts: cifar10-c, mnist-c, noise, camera, pipeline, or fog,awgn:0.2; or none.",
        ),
    ] = "cifar10-c",
    severities: Annotated[
        str, typer.Option("--severities", help="Of kinds without one: 1,3,5, of 1 to 5.")
    ] = "1,3,5",
    images: Annotated[
        str, typer.Option("--images", help="Of each set, the first ones; or all.")
    ] = "1000",
    natural: Annotated[
        str | None,
        typer.Option("--natural", help="Other data of the same classes, beside the first: DATA,…"),
    ] = None,
    shift_data: Annotated[
        Path | None,
        typer.Option("--shift-data", help="Folder of published arrays (CIFAR-10-C's .npy files)."),
    ] = None,
    frost: Annotated[
        Path | None, typer.Option("--frost", help="Folder of frost photographs; else synthetic.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", help="guard: disagreement among accepted images, 0.01."),
    ] = None,
    choose_on: Annotated[
        str | None,
        typer.Option("--choose-on", help="guard: shifted sets to choose on, too: fog:3,snow:1."),
    ] = None,
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies", help="strategies: standard,qat,adversarial,mixup,smoothing, or fewer."
        ),
    ] = None,
    corpus: o.CorpusDir = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for plots, and for answers: so it can be resumed."),
    ] = None,
    plots: Annotated[
        str | None, typer.Option("--plots", help="In --out: png, svg or none.")
    ] = None,
    random_seed: Annotated[int, typer.Option("--random-seed", help="Of all draws.")] = 0,
    json: o.JsonFile = None,
    report: o.PageFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Measure what compression changes on shifted images."""
    from compd.cli.display import live
    from compd.cli.files import check_folder, check_outputs, write_json
    from compd.cli.pages import page_of_study
    from compd.cli.render.study import print_study
    from compd.corpus import Corpus
    from compd.report.page.steps import steps_of_study
    from compd.shifts import read_frost
    from compd.studies.run import configured
    from compd.studies.run import study as run
    from compd.text import names_in

    prepare(threads)
    check_outputs(json=json, report=report)
    check_folder(out)
    _check_plots(plots, out)
    configs = configured(
        studies,
        alpha=alpha,
        strategies=strategies,
        choose_on=None if choose_on is None else tuple(names_in(choose_on)),
    )
    levels = o.floats(severities, "severities") or ()
    limit = count_of(images)
    o.check_batch(batch)
    store = None if corpus is None else Corpus(corpus)
    named = with_memory(named, corpus)
    photographs = None if frost is None else read_frost(frost)
    with live() as control:
        pair, splits = named.request().open(control)
        pair.batch = batch
        others = [
            *_natural(pair, names_in(natural or ""), limit),
            *_published(pair, shift_data, levels, limit),
        ]
        begun, inside = clock.perf_counter(), control.clock.seconds
        with control.interruptible():
            result = run(
                pair,
                splits,
                studies=list(configs.values()),
                kinds="" if kinds == "none" else kinds,
                severities=levels,
                limit=limit,
                others=others,
                corpus=store,
                random_seed=random_seed,
                frost=photographs,
                folder=None if out is None else out / "answers",
                control=control,
            )
        seconds, inside = clock.perf_counter() - begun, control.clock.seconds - inside
    steps = [step.command for step in steps_of_study(result, named.words)]
    print_study(result, steps, seconds=seconds, model_seconds=inside)
    if json is not None:
        write_json(json, result.to_json())
    if report is not None:
        page_of_study(report, result, store, named.words)
    if out is not None and plots != "none":
        _plot(result, out, plots or "png")
    return 0


def _check_plots(plots: str | None, out: Path | None) -> None:
    from compd.report.plots import FORMATS

    if plots not in (None, "none", *FORMATS):
        raise SettingError(f"{setting('plots')} as {', '.join(FORMATS)} or none", plots=plots)
    if plots is not None and out is None:
        raise SettingError(f"expected {setting('plots')} with {setting('out', 'DIR')}, got no out")


def _plot(result: StudyReport, folder: Path, kind: str) -> None:
    """Write the plots; where there is nothing to draw them with, say so."""
    from compd.cli.render.tables import print_line
    from compd.report.plots import write_plots
    from compd.system.quiet import unlogged

    try:
        with unlogged():  # where its cache of fonts is
            require_extra("matplotlib", "plots")
    except UnavailableError as error:
        print_line(f"no plots: {error}")
        return
    files = write_plots(result, folder, kind)
    print_line(f"plots: {', '.join(file.name for file in files) or 'none'} in {folder}")


def count_of(text: str) -> int | None:
    """Of images, 2 or more; ``all`` is None."""
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 2:
        raise SettingError(f"{setting('images')} as a number of 2 or more, or all", images=text)
    return int(text)


def _natural(pair: Pair, names: list[str], limit: int | None) -> list[ImageSet]:
    from compd.files.names import check_data
    from compd.studies.sources import natural_set

    for name in names:
        check_data(name)
    return [natural_set(pair, name, limit) for name in names]


def _published(
    pair: Pair, folder: Path | None, severities: tuple[float, ...], limit: int | None
) -> list[ImageSet]:
    from compd.studies.sources import published

    return [] if folder is None else published(pair, folder, severities, limit)
