"""What a round is judged by: the selection split, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from compd.agreement import strays
from compd.data import Split
from compd.fuzz import Boundary, fuzz
from compd.models.inputs import predict
from compd.pair import Pair
from compd.progress import Report, silent
from compd.repair.intervals import mcnemar
from compd.repair.settings import Settings

__all__ = ["Seen", "best_of", "look_at"]

_WORTH = 0.02  # of the start's mean severity, by which a round has to be milder at least


@dataclass(frozen=True)
class Seen:
    """A pair on the selection split."""

    round: int  # 0: the start
    accuracy: float  # of the deployed model
    natural: float  # share of clean images on which it differs from the original
    fixed: int  # of these images: differed at the start, agree now
    new: int  # agreed at the start, differ now
    effective: float  # share of the fresh search's seeds with a deviation
    severe: float  # share with severity of at least 0.2
    severity: float  # mean over all seeds of the worst of each; 0 where none was found


def look_at(
    pair: Pair,
    selection: Split,
    settings: Settings,
    number: int,
    *,
    start: Pair,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> Seen:
    """Measure a pair, and search it anew: each round from the same seeds with the same draws."""
    original = predict(pair.reference.run, selection.images).argmax(1)
    deployed = predict(pair.deployed.run, selection.images)
    differs = strays(deployed, original)
    differed = strays(predict(start.deployed.run, selection.images), original)
    campaign = fuzz(
        pair, selection, strategy=Boundary(), goal="severe", eps=settings.eps,
        limit=settings.seeds, random_seed=settings.random_seed + 1, stop=stop,
        report=report,
    )  # fmt: skip
    worst: dict[str, float] = {}
    for finding in campaign:
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    seeds = max(1, campaign.summary().seeds)
    return Seen(
        round=number,
        accuracy=float((deployed.argmax(1) == selection.labels).double().mean()),
        natural=float(differs.double().mean()),
        fixed=int((differed & ~differs).sum()),
        new=int((differs & ~differed).sum()),
        effective=len(worst) / seeds,
        severe=sum(severity >= 0.2 for severity in worst.values()) / seeds,
        severity=sum(worst.values()) / seeds,
    )


def best_of(seen: Sequence[Seen], settings: Settings) -> int:
    """The round to keep: the mildest of those that keep accuracy and natural agreement.

    It has to be milder than the start by more than the draws of a search are worth.

    Agreement is kept unless new disagreements outnumber the fixed ones by more than chance
    (McNemar's test at 0.1): these are few images.

    Args:
        seen: the start, then the rounds.
        settings: how much accuracy may be lost.

    Returns:
        The position; 0, the start, if no round is better.
    """
    if settings.keep == "last":
        return len(seen) - 1
    fit = [
        i
        for i, one in enumerate(seen)
        if (i == 0 or one.severity <= (1 - _WORTH) * seen[0].severity)
        and one.accuracy >= seen[0].accuracy - settings.max_accuracy_drop - 1e-9
        and (one.new <= one.fixed or mcnemar(one.fixed, one.new) > 0.1)
    ]
    return min(fit, key=lambda i: (seen[i].severity, i))
