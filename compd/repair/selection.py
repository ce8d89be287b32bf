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
from compd.repair.settings import Settings

__all__ = ["Seen", "best_of", "look_at"]


@dataclass(frozen=True)
class Seen:
    """A pair on the selection split."""

    round: int  # 0: the start
    accuracy: float  # of the deployed model
    natural: float  # share of clean images on which it differs from the original
    effective: float  # share of the fresh search's seeds with a deviation
    severe: float  # share with severity of at least 0.2
    severity: float  # mean over all seeds of the worst of each; 0 where none was found


def look_at(
    pair: Pair,
    selection: Split,
    settings: Settings,
    number: int,
    *,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> Seen:
    """Measure a pair, and search it anew with a random seed of this round's own."""
    original = predict(pair.reference.run, selection.images).argmax(1)
    deployed = predict(pair.deployed.run, selection.images)
    campaign = fuzz(
        pair, selection, strategy=Boundary(), goal="severe", eps=settings.eps,
        limit=settings.seeds, random_seed=settings.random_seed + 1 + number, stop=stop,
        report=report,
    )  # fmt: skip
    worst: dict[str, float] = {}
    for finding in campaign:
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    seeds = max(1, campaign.summary().seeds)
    return Seen(
        round=number,
        accuracy=float((deployed.argmax(1) == selection.labels).double().mean()),
        natural=float(strays(deployed, original).double().mean()),
        effective=len(worst) / seeds,
        severe=sum(severity >= 0.2 for severity in worst.values()) / seeds,
        severity=sum(worst.values()) / seeds,
    )


def best_of(seen: Sequence[Seen], settings: Settings) -> int:
    """The round to keep: the mildest of those that keep accuracy and natural agreement.

    Args:
        seen: the start, then the rounds.
        settings: how much of both may be lost.

    Returns:
        The position; 0, the start, if no round is better.
    """
    start, slack = seen[0], settings.max_accuracy_drop + 1e-9
    fit = [
        i
        for i, one in enumerate(seen)
        if one.accuracy >= start.accuracy - slack and one.natural <= start.natural + slack
    ]
    return min(fit, key=lambda i: (seen[i].severity, i))
