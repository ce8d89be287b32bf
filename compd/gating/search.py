"""The short search of a gate: what does this pair do that no entry of the corpus says?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compd.control import QUIET, Control
from compd.corpus import Record, records_by
from compd.data import Split
from compd.gating.policy import Policy
from compd.pair import Pair
from compd.search import Campaign, Finding, SearchSettings, StabilityCheck, Summary, strategy
from compd.search.settings import GOALS
from compd.search.strategies import STRATEGIES

__all__ = ["Searched", "search", "settings_for"]


@dataclass(frozen=True)
class Searched:
    """What a search found."""

    found: tuple[tuple[Record, Finding], ...]
    summary: Summary
    settings: Mapping[str, Any]
    rows: str


def settings_for(policy: Policy, corpus: Iterable[Record]) -> SearchSettings:
    """The settings of a gate's search: the policy's, else what all entries were found with.

    Raises:
        CompdError: if a setting makes no sense.
    """
    records = list(corpus)
    # Names and bounds only: a stranger's corpus does not say how long a search takes.
    name = _common(str(record.strategy.get("name")) for record in records)
    goal = policy.goal or _common(str(r.strategy.get("goal")) for r in records)
    own_norm, own_eps = _common((r.norm, r.eps) for r in records) or ("linf", None)
    norm = policy.norm or own_norm
    eps = own_eps if policy.eps is None and norm == own_norm else policy.eps
    return SearchSettings(
        strategy=strategy(policy.strategy or (name if name in STRATEGIES else "boundary")),
        limit=policy.seeds,
        eps=eps,
        norm=norm,
        goal=goal if policy.goal or goal in GOALS else "first",
        random_seed=policy.random_seed,
        seconds=policy.time,
    )


def search(
    pair: Pair,
    seeds: Split,
    settings: SearchSettings,
    *,
    control: Control = QUIET,
) -> Searched:
    """Search, and replay what was found in other ways.

    Args:
        pair: the pair.
        seeds: clean images to start from.
        settings: of the campaign.
        control: told of progress, and asked whether to stop.
    """
    campaign = Campaign(pair, seeds, settings, control=control)
    findings = [one for step in campaign.steps() for one in step]
    findings = StabilityCheck(pair, control)(findings)
    to_record = records_by(campaign)
    summary = campaign.summary()
    made_with = {
        **STRATEGIES.settings_of(campaign.settings.strategy),
        "eps": settings.eps,
        "norm": settings.norm,
        "goal": settings.goal,
        "random_seed": settings.random_seed,
        "time": settings.seconds,
    }
    return Searched(
        tuple((to_record(one), one) for one in findings), summary, made_with, seeds.rows
    )


def _common(values: Iterable[Any]) -> Any:
    """What all of some values are; None if they differ, or there are none."""
    first: Any = None
    for number, value in enumerate(values):
        if number and value != first:
            return None
        first = value
    return first
