"""The short search of a gate: what does this pair do that no entry of the corpus says?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compd.control import QUIET, Control
from compd.corpus import Record, records_by
from compd.data import Split
from compd.errors import InputError, Stopped
from compd.gating.policy import Policy
from compd.gating.record import Seed
from compd.images import pixel_hash
from compd.logits import answers_of
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.search import (
    Campaign,
    Finding,
    SearchSettings,
    Stability,
    StabilityCheck,
    Summary,
    Verdict,
    strategy,
)
from compd.search.settings import GOALS
from compd.search.strategies import STRATEGIES

__all__ = ["Searched", "how_of", "search", "settings_for", "settings_like"]

_TOGETHER = 64  # images that are looked at at once


@dataclass(frozen=True)
class Searched:
    """What a search found."""

    found: tuple[tuple[Record, Finding], ...]
    summary: Summary
    settings: Mapping[str, Any]
    rows: str
    how: Mapping[str, Any]  # what a record of it says
    seeds: tuple[Seed, ...]  # all that were searched or set aside, in order


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
        wrong_seeds=_common(r.strategy.get("wrong_seeds") for r in records) or "keep",
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
        "eps": campaign.settings.eps,
        "norm": campaign.settings.norm,
        "goal": settings.goal,
        "random_seed": settings.random_seed,
        "time": settings.seconds,
    }
    return Searched(
        tuple((to_record(one), one) for one in findings),
        summary,
        made_with,
        seeds.rows,
        how_of(campaign.settings),
        _seeds(pair, seeds, findings, settings, summary, control),
    )


def how_of(settings: SearchSettings) -> dict[str, Any]:
    """What two searches have to have in common to be compared."""
    return {
        "strategy": STRATEGIES.settings_of(settings.strategy),
        "eps": settings.eps,
        "norm": settings.norm,
        "goal": settings.goal,
        "wrong_seeds": settings.wrong_seeds,
        "random_seed": settings.random_seed,
    }


def settings_like(how: Mapping[str, Any], policy: Policy) -> SearchSettings:
    """The settings of a search that is to be compared with a record.

    Raises:
        CompdError: if a setting of the record makes no sense.
    """
    strategy_of = dict(how["strategy"])
    try:
        return SearchSettings(
            strategy=STRATEGIES.make(str(strategy_of.pop("name")), **strategy_of),
            limit=None,
            eps=how["eps"],
            norm=str(how["norm"]),
            goal=str(how["goal"]),
            wrong_seeds=str(how.get("wrong_seeds") or "keep"),
            random_seed=int(how["random_seed"]),
            seconds=policy.time,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected a record of a search that can be made again, got {error!r:.80}; accept "
            "again: compd baseline accept"
        ) from error


def _seeds(
    pair: Pair,
    split: Split,
    findings: Sequence[Finding],
    settings: SearchSettings,
    summary: Summary,
    control: Control,
) -> tuple[Seed, ...]:
    """What each seed that the campaign came to has found; those that differ as they are, too."""
    best: dict[str, Finding] = {}
    for one in findings:
        counts = one.verdict is Verdict.EFFECTIVE and one.stability is not Stability.FLAKY
        if counts and one.severity >= best.get(one.seed_sha256, one).severity:
            best[one.seed_sha256] = one
    # of a search that ended by itself also what was set aside behind its last seed
    whole = settings.limit is None and summary.stopped == "done"
    wanted = len(split) if whole else summary.seeds
    seeds: list[Seed] = []
    searched = 0
    for start in range(0, len(split), _TOGETHER):
        part = split.part(start, start + _TOGETHER)
        try:
            seen = evaluate(pair, part, control=control.quiet)
        except Stopped:
            break
        said, shipped = (
            answers_of(logits, head=head)
            for logits, head in zip((seen.original, seen.deployed), pair.heads, strict=True)
        )
        severity = torch.minimum(said.margin, shipped.margin)
        wrong = torch.zeros(len(part), dtype=torch.bool)
        if settings.wrong_seeds == "aside" and part.labelled:
            wrong = ~seen.right(seen.original)
        for i in range(len(part)):
            if searched == wanted:
                return tuple(seeds)
            key, row = pixel_hash(part.images[i]), part.row(i)
            found = best.get(key)
            if seen.disagree[i]:
                names = (pair.classes[int(one.label[i])] for one in (said, shipped))
                flip = " → ".join(names)
                rounded = round(float(severity[i].nan_to_num()), 6)
                seeds.append(Seed(key, row, rounded, flip, untouched=True))
                continue
            if wrong[i]:  # not searched from
                continue
            searched += 1
            flip = "" if found is None else f"{found.original.name} → {found.deployed.name}"
            seeds.append(Seed(key, row, 0.0 if found is None else found.severity, flip))
    return tuple(seeds)


def _common(values: Iterable[Any]) -> Any:
    """What all of some values are; None if they differ, or there are none."""
    first: Any = None
    for number, value in enumerate(values):
        if number and value != first:
            return None
        first = value
    return first
