"""``compd report``: one page of what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import prepare

if TYPE_CHECKING:
    from compd.pair import Pair
    from compd.pair.evaluation import Evaluation
    from compd.report.page import Result
    from compd.studies import StudyReport

__all__ = ["report"]


@takes_pair()
def report(
    named: PairOptions,
    corpus: Annotated[
        list[Path] | None,
        typer.Option("--corpus", help="The corpus's directory; again for further ones."),
    ] = None,
    json: Annotated[
        list[Path] | None,
        typer.Option(
            "--json",
            help="Result of compd fuzz, gate, repair or study; again for earlier ones, the latest "
            "last.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("report.html"),
    show_all: Annotated[
        bool, typer.Option("--all", help="Each deviation; else at most 300, and 8 MB.")
    ] = False,
    static: Annotated[
        bool,
        typer.Option(
            "--static",
            help="Style, script and pictures in files beside the page, for servers that forbid "
            "what is inline.",
        ),
    ] = False,
    threads: o.Threads = None,
) -> int:
    """Write a page of what was found.

    With a pair (--pair DIR), also how each class does.
    """
    from compd.cli.files import check_outputs, find_corpus
    from compd.cli.pages import place_of
    from compd.report.page import check_page, read_results, write_page
    from compd.report.page.studies import read_study

    prepare(threads)
    check_outputs(out=out)
    check_page(out, static=static)
    results: list[Result] = []
    studies: list[StudyReport] = []
    for path in json or []:
        study = read_study(path)
        if study is None:
            results += read_results(path)
        else:
            studies.append(study)
    alone = studies and not results and corpus is None  # a page that needs no corpus
    found = [] if alone else corpus or [find_corpus(None)]
    places = [place_of(one, named.words) for one in found]
    first = places[0] if places else None
    seen, classes = None, None
    if named.names_pair:
        pair, seen = _evaluated(named)
        classes = pair.classes
    shown = write_page(
        out,
        None if first is None else first.corpus,
        results,
        options="" if first is None else first.options,
        accepted=None if first is None else first.accepted,
        others=places[1:],
        studies=studies,
        seen=seen,
        classes=classes,
        all=show_all,
        static=static,
    )
    typer.echo(f"page: {out} ({shown} deviation{'' if shown == 1 else 's'})")
    return 0


def _evaluated(named: PairOptions) -> tuple[Pair, Evaluation]:
    from compd.cli.display import live
    from compd.pair.evaluation import evaluate

    with live() as control:
        pair, splits = named.request().open(control)
        with control.interruptible():
            return pair, evaluate(pair, splits.test(), control=control)
