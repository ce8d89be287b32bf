"""The short search of a gate: what does this pair do that no entry of the corpus says?"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compd.corpus import Corpus, Record, records_by
from compd.data import Split
from compd.fuzz import Campaign, Confirm, Settings, Summary, strategy
from compd.fuzz.clock import Clock
from compd.fuzz.settings import GOALS
from compd.fuzz.strategies import STRATEGIES
from compd.gate.policy import Policy
from compd.pair import Pair
from compd.progress import Report, silent

__all__ = ["Searched", "search", "settings_for"]


@dataclass(frozen=True)
class Searched:
    """What a search found."""

    records: tuple[Record, ...]
    summary: Summary
    settings: Mapping[str, Any]
    rows: str


def settings_for(policy: Policy, corpus: Iterable[Record]) -> Settings:
    """The settings of a gate's search: the policy's, else what all entries were found with.

    Raises:
        CompdError: if a setting makes no sense.
    """
    records = list(corpus)
    # Names and bounds only: a stranger's corpus does not say how long a search takes.
    name = _common(str(record.strategy.get("name")) for record in records)
    goal = policy.goal or _common(str(r.strategy.get("goal")) for r in records)
    norms = _common((r.norm, r.eps) for r in records if r.minimised is None)
    norm, eps = norms or ("linf", None)
    if policy.eps is not None or policy.norm is not None:
        norm, eps = policy.norm or "linf", policy.eps
    return Settings(
        strategy=strategy(policy.strategy or (name if name in STRATEGIES else "boundary")),
        limit=policy.seeds, eps=eps, norm=norm,
        goal=goal if policy.goal or goal in GOALS else "first", random_seed=policy.random_seed,
        seconds=policy.time,
    )  # fmt: skip


def search(
    pair: Pair,
    seeds: Split,
    settings: Settings,
    found: Corpus | None = None,
    *,
    known: Iterable[str] = (),
    clock: Clock | None = None,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> Searched:
    """Search, replay what was found in other ways, and store what is not known yet.

    Args:
        pair: the pair.
        seeds: clean images to start from.
        settings: of the campaign.
        found: where to store it.
        known: hashes that need not be stored.
        clock: adds up the time inside model calls.
        stop: set it to end after the current step; what was found until then is kept.
        report: told of progress.
    """
    campaign = Campaign(pair, seeds, settings, stop=stop, report=report)
    findings = [one for step in campaign.steps() for one in step]
    findings = Confirm(pair, batch=campaign.batch, clock=clock)(findings)
    to_record, seen = records_by(campaign), set(known)
    records = [to_record(one) for one in findings]
    if found is not None:
        found.add(
            (record, one.image, one.seed_image)
            for record, one in zip(records, findings, strict=True)
            if record.sha256 not in seen
        )
    summary = campaign.summary()
    if clock is not None:
        clock.seconds += summary.model_seconds
    made_with = {
        **STRATEGIES.settings_of(campaign.settings.strategy), "eps": settings.eps,
        "norm": settings.norm, "goal": settings.goal, "random_seed": settings.random_seed,
        "time": settings.seconds,
    }  # fmt: skip
    return Searched(tuple(records), summary, made_with, seeds.rows)


def _common(values: Iterable[Any]) -> Any:
    """What all of some values are; None if they differ, or there are none."""
    first: Any = None
    for number, value in enumerate(values):
        if number and value != first:
            return None
        first = value
    return first
