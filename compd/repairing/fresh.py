"""Fresh searches from held-out seeds, before and after, with the same budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from compd.control import Control
from compd.data import Split
from compd.errors import InputError
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.repairing.settings import RepairSettings
from compd.search import (
    Blackbox,
    Boundary,
    Campaign,
    Compd,
    Dflare,
    Diva,
    Finding,
    Pgd,
    SearchSettings,
)
from compd.search.findings import worst_by_seed
from compd.statistics import Share

__all__ = ["Fresh", "agreed_seeds", "compare", "search", "searches_of"]

LEVELS = (0.05, 0.2, 0.5)  # of severity
_QUERIES = 100  # candidates a seed of the searches without gradients


@dataclass(frozen=True)
class Fresh:
    """One search, before and after, from the same held-out seeds with the same budget."""

    search: str
    seeds: int
    effective_before: Share
    effective_after: Share
    severity_shares_before: Mapping[str, float]  # "0.2" -> share of all seeds that reach it
    severity_shares_after: Mapping[str, float]


def searches_of(settings: RepairSettings) -> dict[str, SearchSettings]:
    """The searches of a verdict by name."""
    common = SearchSettings(
        eps=settings.eps, limit=settings.verdict_seeds, random_seed=settings.random_seed + 101
    )
    known: dict[str, dict[str, Any]] = {
        "boundary, severe": {"strategy": Boundary(), "goal": "severe"},
        "boundary, first": {"strategy": Boundary()},
        "diva": {"strategy": Diva()},
        "pgd": {"strategy": Pgd()},
        "compd": {"strategy": Compd()},
        "blackbox": {"strategy": Blackbox(queries=_QUERIES)},
        "dflare": {"strategy": Dflare(queries=_QUERIES)},
    }
    return {name: replace(common, **known[name]) for name in settings.searches}


def search(
    pair: Pair, seeds: Split, how: SearchSettings, control: Control
) -> tuple[Campaign, list[Finding]]:
    """Run one search to its end."""
    campaign = Campaign(pair, seeds, how, control=control)
    return campaign, list(campaign)


def compare(
    name: str, before: tuple[Campaign, list[Finding]], after: tuple[Campaign, list[Finding]]
) -> Fresh:
    """What one search found on either pair."""
    effective, shares = [], []
    count = before[0].summary().seeds
    for _, findings in (before, after):
        worst = worst_by_seed(findings)
        effective.append(Share.count_of(len(worst), count))
        shares.append(
            {
                f"{level:g}": sum(s >= level for s in worst.values()) / max(1, count)
                for level in LEVELS
            }
        )
    return Fresh(name, count, effective[0], effective[1], shares[0], shares[1])


def agreed_seeds(heldout: Split, *pairs: Pair) -> Split:
    """The images of the first half on which these pairs' models, of one original, all agree."""
    half = heldout.first(max(1, len(heldout) // 2))
    agree = torch.stack([~evaluate(pair, half).disagree for pair in pairs]).all(0)
    rows = agree.nonzero()[:, 0]
    if not len(rows):
        raise InputError(
            f"expected held-out images on which all models agree, got none of {len(half)}"
        )
    return half.chosen(rows)
