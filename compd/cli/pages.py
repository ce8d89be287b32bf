"""Pages that commands write beside their results."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compd.errors import CompdError

if TYPE_CHECKING:
    from compd.corpus import Corpus
    from compd.data import Splits
    from compd.gating import GateResult
    from compd.pair import Pair
    from compd.pair.evaluation import Evaluation
    from compd.report import CampaignReport
    from compd.report.page import Place
    from compd.studies import StudyReport

__all__ = [
    "Searched",
    "accepted_in",
    "address_of",
    "page_of_fuzz",
    "page_of_gate",
    "page_of_repair",
    "page_of_study",
    "place_of",
]


def place_of(corpus: Corpus | Path, options: str = "") -> Place:
    """A corpus with what its own baseline accepts.

    Args:
        corpus: the corpus, or its folder.
        options: words that name its pair on a command line.
    """
    from compd.corpus import Corpus
    from compd.report.page import Place

    store = Corpus(corpus) if isinstance(corpus, Path) else corpus
    return Place(store, options, accepted_in(store))


def accepted_in(corpus: Corpus, baseline: Path | None = None) -> dict[str, str] | None:
    """What a baseline accepts, hash -> reason; None if there is none.

    Args:
        corpus: whose baseline it is.
        baseline: its file; None for the corpus's own.
    """
    from compd.gating import Baseline, baseline_of

    path = baseline or baseline_of(corpus.directory)
    if not path.exists():
        return None
    return {one.sha256: one.reason for one in Baseline.load(path).values()}


@dataclass(frozen=True)
class Searched:
    """A campaign on one pair, with what its page shows beside it."""

    report: CampaignReport
    seen: Evaluation  # what the pair says of clean images
    classes: tuple[str, ...]
    options: str  # words that name this pair on a command line


def page_of_fuzz(path: Path, content: Mapping[str, Any], searched: Sequence[Searched]) -> None:
    """Write the page of a search; nothing if it was interrupted before it found anything.

    Args:
        path: of the page.
        content: what was found, as JSON.
        searched: the campaigns, that on the pair that deviates most first.
    """
    from compd.report.page import results_of, write_page

    places = [
        (one, replace(place_of(Path(one.report.corpus), one.options), clean=one.seen))
        for one in searched
        if (Path(one.report.corpus) / "metadata.jsonl").is_file()
    ]
    if places:
        most, place = places[0]
        write_page(
            path,
            place.corpus,
            results_of(json.loads(json.dumps(content)), "this run"),
            options=place.options,
            accepted=place.accepted,
            others=[other for _, other in places[1:]],
            seen=most.seen,
            classes=most.classes,
        )


def page_of_gate(
    path: Path,
    result: GateResult,
    corpus: Corpus,
    found: Corpus | None,
    pair: Pair,
    splits: Splits | None,
) -> list[CompdError]:
    """Write a gate's page; what keeps it from being written does not end the gate.

    Args:
        path: of the page.
        result: of the gate.
        corpus: that was replayed.
        found: where new findings are stored.
        pair: that was judged; where clean rows were measured, its answers are at hand.
        splits: its data.

    Returns:
        The error, if there was one.
    """
    from compd.pair.evaluation import evaluate
    from compd.report.page import Place, results_of, write_page

    measured = splits if result.clean is not None else None
    try:
        write_page(
            path,
            corpus,
            results_of(result.to_json(), "this gate"),
            options=result.options,
            accepted=accepted_in(corpus, Path(result.baseline)),
            others=[] if found is None or not len(found) else [Place(found, result.options)],
            seen=None if measured is None else evaluate(pair, measured.test()),
            classes=pair.classes,
        )
    except CompdError as error:
        return [error]
    return []


def page_of_repair(
    path: Path, content: Mapping[str, Any], corpus: Corpus, pair: Pair, options: str
) -> None:
    """Write a repair's page.

    Args:
        path: of the page.
        content: the repair's result as JSON.
        corpus: that it was made from.
        pair: as it was before.
        options: words that name the repaired pair on a command line.
    """
    from compd.report.page import results_of, write_page

    write_page(
        path,
        corpus,
        results_of(content, "this repair"),
        options=options,
        accepted=accepted_in(corpus),
        classes=pair.classes,
    )


def page_of_study(path: Path, report: StudyReport, corpus: Corpus | None, options: str) -> None:
    """Write a study's page.

    Args:
        path: of the page.
        report: of the study.
        corpus: that was named beside it; None for a page of the study alone.
        options: words that name the pair on a command line.
    """
    from compd.report.page import write_page

    write_page(
        path,
        corpus,
        (),
        options=options,
        accepted=None if corpus is None else accepted_in(corpus),
        studies=[report],
    )


def address_of(path: Path, environment: Mapping[str, str]) -> str:
    """Where whoever reads a CI system's result finds a page that is kept as an artifact.

    Args:
        path: of the page.
        environment: variables of the process: GitHub and GitLab say there which run this is.
    """
    from urllib.parse import quote

    if environment.get("GITHUB_ACTIONS") == "true" and environment.get("GITHUB_RUN_ID"):
        server = environment.get("GITHUB_SERVER_URL", "https://github.com")
        repository, run = environment.get("GITHUB_REPOSITORY", ""), environment["GITHUB_RUN_ID"]
        return f"{server}/{repository}/actions/runs/{run}#artifacts"
    if environment.get("CI_JOB_URL") and not path.is_absolute():
        return f"{environment['CI_JOB_URL']}/artifacts/file/{quote(path.as_posix())}"
    return quote(path.as_posix())
