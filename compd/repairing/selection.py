"""What a round is judged by: the selection split, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from compd.data import Split
from compd.models.inputs import predict
from compd.pair import Pair
from compd.pair.evaluation import disagrees
from compd.progress import Report, silent
from compd.repairing.settings import RepairSettings
from compd.search import Boundary, Campaign, fuzz
from compd.statistics import mcnemar

__all__ = [
    "Deviations",
    "Seen",
    "Untouched",
    "Watch",
    "best_of",
    "bound_of_looks",
    "look_at",
    "mean_severity",
]

_WORTH = 0.02  # of the start's mean severity, by which a round has to be milder at least
_WIDEST = 16  # levels of 255; wider bounds are as good as none for the search of a look
_FULL = 0.9  # mean severity at which a search no longer tells a bad pair from a worse one


@dataclass(frozen=True)
class Untouched:
    """A pair on clean selection images."""

    accuracy: float  # of the deployed model
    natural: float  # share of images on which it differs from the original
    fixed: int  # of these images: differed at the start, agree now
    new: int  # agreed at the start, differ now

    def keeps(self, start: Untouched, settings: RepairSettings) -> bool:
        """Whether accuracy and natural agreement are what they were at the start.

        Agreement is, unless new disagreements outnumber the fixed ones by more than chance
        (McNemar's test at 0.1): these are few images.
        """
        return self.accuracy >= start.accuracy - settings.max_accuracy_drop - 1e-9 and (
            self.new <= self.fixed or mcnemar(self.fixed, self.new) > 0.1
        )


@dataclass(frozen=True, kw_only=True)
class Seen(Untouched):
    """A pair on the selection split, searched anew."""

    round: int  # 0: the start
    effective: float  # share of the fresh search's seeds with a deviation
    severe: float  # share with severity of at least 0.2
    severity: float  # mean over all seeds of the worst of each; 0 where none was found
    blend: float = 1.0  # share of the trained weights; the rest: what the round started from
    diverged: bool = False  # its loss exploded: nothing was measured, the figures are the start's


@dataclass(frozen=True)
class Watch:
    """The clean selection images, and what the start says to them."""

    selection: Split
    answers: Tensor  # int64 (N,): the original's labels
    differed: Tensor  # bool (N,): where the start differs from them

    @classmethod
    def of(cls, start: Pair, selection: Split) -> Watch:
        """Ask the original and the start."""
        answers = predict(start.reference.run, selection.images).argmax(1)
        differed = disagrees(predict(start.deployed.run, selection.images), answers)
        return cls(selection, answers, differed)

    def untouched(self, pair: Pair) -> Untouched:
        """Measure a pair on these images as they are."""
        deployed = predict(pair.deployed.run, self.selection.images)
        differs = disagrees(deployed, self.answers)
        return Untouched(
            accuracy=float((deployed.argmax(1) == self.selection.labels).double().mean()),
            natural=float(differs.double().mean()),
            fixed=int((self.differed & ~differs).sum()),
            new=int((differs & ~self.differed).sum()),
        )


@dataclass(frozen=True)
class Deviations:
    """What a search of the start found on the selection split."""

    images: Tensor  # uint8 (N, C, H, W)
    labels: Tensor  # int64 (N,): the original's, for their seeds

    @classmethod
    def of(
        cls,
        start: Pair,
        selection: Split,
        settings: RepairSettings,
        eps: int | None,
        stop: threading.Event | None = None,
        report: Report = silent,
    ) -> Deviations:
        """Search the start as each look does."""
        found = list(_search(start, selection, settings, eps, stop, report))
        labels = torch.tensor([finding.seed_label for finding in found], dtype=torch.int64)
        images = [finding.image for finding in found]
        return cls(torch.stack(images) if images else selection.images[:0], labels)

    def left(self, pair: Pair) -> float:
        """Share of them on which a pair still leaves the original's answer."""
        if not len(self.images):
            return 0.0
        return float(
            disagrees(predict(pair.deployed.run, self.images), self.labels).double().mean()
        )


def look_at(
    pair: Pair,
    untouched: Untouched,
    selection: Split,
    settings: RepairSettings,
    number: int,
    *,
    eps: int | None,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> Seen:
    """Search a pair anew: each round from the same seeds with the same draws.

    Args:
        pair: what to search.
        untouched: the same pair on clean selection images.
        selection: the selection split.
        settings: how many seeds, and the random seed.
        number: of the round.
        eps: bound of the search, levels of 255.
        stop: ends the search early.
        report: told of progress.
    """
    campaign = _search(pair, selection, settings, eps, stop, report)
    worst = _worst_of(campaign)
    seeds = max(1, campaign.summary().seeds)
    return Seen(
        round=number,
        **asdict(untouched),
        effective=len(worst) / seeds,
        severe=sum(severity >= 0.2 for severity in worst.values()) / seeds,
        severity=sum(worst.values()) / seeds,
    )


def mean_severity(
    pair: Pair,
    selection: Split,
    settings: RepairSettings,
    *,
    eps: int | None,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> float:
    """What a look would see of a pair's severity, without the rest."""
    campaign = _search(pair, selection, settings, eps, stop, report)
    worst = _worst_of(campaign)
    return sum(worst.values()) / max(1, campaign.summary().seeds)


def _worst_of(campaign: Campaign) -> dict[str, float]:
    """Each seed's highest severity, of those that have any."""
    worst: dict[str, float] = {}
    for finding in campaign:
        worst[finding.seed_row] = max(worst.get(finding.seed_row, 0.0), finding.severity)
    return worst


def _search(
    pair: Pair,
    selection: Split,
    settings: RepairSettings,
    eps: int | None,
    stop: threading.Event | None,
    report: Report,
) -> Campaign:
    return fuzz(
        pair,
        selection,
        strategy=Boundary(),
        goal="severe",
        eps=eps,
        limit=settings.seeds,
        random_seed=settings.random_seed + 1,
        stop=stop,
        report=report,
    )


def bound_of_looks(seen: Seen, eps: int | None) -> int | None:
    """A smaller bound to search within, where the start is as severe as can be; None if it is not.

    Args:
        seen: the start, searched within ``eps``.
        eps: levels of 255; None for no bound.
    """
    if seen.severity < _FULL or eps == 1:
        return None
    return max(1, min(eps or _WIDEST, _WIDEST) // 2)


def best_of(seen: Sequence[Seen], settings: RepairSettings) -> int:
    """The round to keep: the mildest of those that keep accuracy and natural agreement.

    It has to be milder than the start by more than the draws of a search are worth. A round that
    diverged is never kept.

    Args:
        seen: the start, then the rounds.
        settings: how much accuracy may be lost.

    Returns:
        The position; 0, the start, if no round is better.
    """
    if settings.keep == "last":
        return max(i for i, one in enumerate(seen) if not one.diverged)
    fit = [
        i
        for i, one in enumerate(seen)
        if not one.diverged
        and (i == 0 or one.severity <= (1 - _WORTH) * seen[0].severity)
        and one.keeps(seen[0], settings)
    ]
    return min(fit, key=lambda i: (seen[i].severity, i))
