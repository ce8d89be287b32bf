"""A campaign as one object with stable, documented keys (see ``docs/corpus.md``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from compd.compress import config_to_json, kind_of
from compd.control import QUIET, Control
from compd.corpus import Corpus, collect
from compd.data import Splits
from compd.pair import Pair
from compd.pair.evaluation import SHADOW_ROWS, Evaluation, evaluate
from compd.pair.preflight import Preflight, check
from compd.report.by_class import ClassFound, found_by_class
from compd.runtimes import Runtime
from compd.search import Campaign, SearchSettings, StabilityCheck
from compd.search.strategies import STRATEGIES

__all__ = ["CampaignReport", "campaign_report", "run_campaign"]

_CHECKED = 500  # seeds of the check, where all test rows are measured anyway


@dataclass(frozen=True)
class CampaignReport:
    """What ``compd fuzz`` prints and writes."""

    model: str
    data: str
    compress: str
    engine: str
    strategy: str
    original_accuracy: float | None
    shadow_accuracy: float | None
    deployed_accuracy: float | None
    shadow_deployed_disagreement: float | None
    natural_disagreement: float
    natural_ties: int  # of these images: on which the deployed model's two labels tie
    # Which model is right on how many of these; None if nobody labelled them.
    flips: Mapping[str, Any] | None
    clean_images: int  # that the figures above are of, but those of the shadow
    shadow_images: int  # that those of the shadow are of
    seeds: int
    seeds_set_aside: int
    seeds_wrong: int  # set aside, since the original gets them wrong
    seeds_effective: int
    images_effective: int
    images_valid: int
    images_invalid: int
    by_class: Mapping[str, ClassFound]  # the class of the seed -> what was found from it
    severity_median: float | None
    severity_p90: float | None
    severity_max: float | None
    worst: Mapping[str, Any] | None  # the most severe deviation: row, both answers, severity
    linf_max: int | None
    l2_mean: float | None
    gradients_per_seed: float
    forwards_per_seed: float
    seconds: float
    model_seconds: float
    stopped: str
    notes: tuple[str, ...]
    shifts: tuple[Mapping[str, Any], ...]  # what each shift did, where shifts were tried: ShiftRate
    stored: int
    stability: Mapping[str, int]  # what was found depends on: "stable" -> how many
    corpus: str
    settings: Mapping[str, Any]
    rows: Mapping[str, str]
    fingerprint: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; keys are those of the class, but ``trust`` for ``stability``."""
        content = asdict(self)
        return {"trust" if key == "stability" else key: value for key, value in content.items()}


def run_campaign(
    pair: Pair,
    splits: Splits,
    settings: SearchSettings,
    corpus: Corpus | Path,
    *,
    clean_rows: int | None = None,
    replays: bool = True,
    others: Mapping[str, Runtime] | None = None,
    allow_float: bool = False,
    on_check: Callable[[Preflight], None] = lambda preflight: None,
    on_evaluation: Callable[[Evaluation], None] = lambda seen: None,
    control: Control = QUIET,
) -> CampaignReport:
    """Check a pair, evaluate it, search, replay what is found, and store it.

    Args:
        pair: what to search.
        splits: its data; seeds are searched from, and test rows measured.
        settings: of the search.
        corpus: where findings go; a folder becomes one if the check finds no fault.
        clean_rows: test rows to measure; None for all.
        replays: whether to replay what is found in other ways.
        others: further runtimes to replay it on, by name.
        allow_float: whether a deployed file without any integer operator is meant.
        on_check: told what the check says, before the search begins.
        on_evaluation: told what the models say of clean images, then, too.
        control: told of progress, and asked whether to stop; what is found by then is stored.

    Raises:
        CompdError: if a file that was given is not what it has to be, or nothing can be stored.
    """
    preflight = check(
        pair,
        splits.seeds.first(clean_rows or _CHECKED),
        allow_float=allow_float,
        control=control,
    )
    if not pair.rebuilds:  # what compd made itself is what it says
        preflight.raise_if_faulty()
    on_check(preflight)
    corpus = corpus if isinstance(corpus, Corpus) else Corpus(corpus, create=True)
    shadow = None if clean_rows is None else SHADOW_ROWS
    seen = evaluate(pair, splits.test(clean_rows), shadow=shadow, control=control)
    on_evaluation(seen)
    campaign = Campaign(pair, splits.seeds, settings, control=control)
    stability = StabilityCheck(pair, control, others=others) if replays else None
    stored = sum(collect(campaign, corpus, stability=stability))
    return campaign_report(
        campaign,
        seen,
        rows={"seeds": splits.seeds.rows, "test": seen.split.rows, **pair.spec.rows},
        corpus=str(corpus.directory),
        stored=stored,
        stability=None if stability is None else stability.counts,
    )


def campaign_report(
    campaign: Campaign,
    seen: Evaluation,
    *,
    rows: Mapping[str, str],
    corpus: str,
    stored: int,
    stability: Mapping[str, int] | None = None,
) -> CampaignReport:
    """Put together what a campaign did.

    Args:
        campaign: finished or stopped.
        seen: of the same pair, on clean rows.
        rows: split name -> rows used, for all splits that took part.
        corpus: where the findings lie.
        stored: how many entries the campaign added there.
        stability: how many findings depend on what; None if they were not replayed.
    """
    spec, settings, summary = campaign.pair.spec, campaign.settings, campaign.summary()
    return CampaignReport(
        model=spec.model.model,
        data=campaign.data,
        compress=kind_of(spec.compress),
        engine=spec.engine,
        strategy=STRATEGIES.name_of(settings.strategy),
        original_accuracy=seen.accuracy(seen.original),
        shadow_accuracy=seen.accuracy(seen.shadow),
        deployed_accuracy=seen.accuracy(seen.deployed),
        shadow_deployed_disagreement=seen.shadow_disagreement,
        natural_disagreement=seen.natural_disagreement,
        natural_ties=seen.natural_ties,
        flips=None if seen.flips is None else seen.flips.to_json(),
        clean_images=len(seen),
        shadow_images=0 if seen.shadow is None else len(seen.shadow),
        **asdict(summary),
        by_class=found_by_class(campaign.searched, campaign.flipped.values()),
        stored=stored,
        stability=dict(stability or {}),
        corpus=corpus,
        settings={
            "width": spec.model.width,
            "compress": config_to_json(spec.compress),
            "strategy": STRATEGIES.settings_of(settings.strategy),
            "eps": settings.eps,
            "norm": settings.norm,
            **settings.to_json(),
            "random_seed": settings.random_seed,
            "batch": campaign.batch,
            "keep": settings.keep,
            "time": settings.seconds,
        },
        rows=dict(rows),
        fingerprint=campaign.pair.fingerprint(batch=campaign.batch),
    )
