"""What a round is judged by: the selection split, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.data import Split
from compd.logits import disagrees
from compd.models.inputs import predict
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.repairing.settings import RepairSettings
from compd.search import Boundary, Campaign, SearchSettings
from compd.search.findings import worst_by_seed
from compd.statistics import mcnemar

__all__ = [
    "Deviations",
    "Seen",
    "Untouched",
    "Watch",
    "best_of",
    "bound_of_searches",
    "mean_severity",
    "search_round",
]

_WORTH = 0.02  # of the start's mean severity, by which a round has to be milder at least
_WIDEST = 16  # levels of 255; wider bounds are as good as none for the search of a round
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
        seen = evaluate(start, selection)
        return cls(selection, seen.answers, seen.disagree)

    def untouched(self, pair: Pair) -> Untouched:
        """Measure a pair of the same original on these images as they are."""
        seen = evaluate(pair, self.selection)
        differs = seen.disagree
        return Untouched(
            accuracy=float(seen.right(seen.deployed).double().mean()),
            natural=seen.natural_disagreement,
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
        control: Control = QUIET,
    ) -> Deviations:
        """Search the start as each round is searched."""
        found = list(_search(start, selection, settings, eps, control))
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


def search_round(
    pair: Pair,
    untouched: Untouched,
    selection: Split,
    settings: RepairSettings,
    number: int,
    *,
    eps: int | None,
    control: Control = QUIET,
) -> Seen:
    """Search a pair anew: each round from the same seeds with the same draws.

    Args:
        pair: what to search.
        untouched: the same pair on clean selection images.
        selection: the selection split.
        settings: how many seeds, and the random seed.
        number: of the round.
        eps: bound of the search, levels of 255.
        control: told of progress, and asked whether to stop.
    """
    campaign = _search(pair, selection, settings, eps, control)
    worst = worst_by_seed(campaign)
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
    control: Control = QUIET,
) -> float:
    """What a search of a round would see of a pair's severity, without the rest."""
    campaign = _search(pair, selection, settings, eps, control)
    worst = worst_by_seed(campaign)
    return sum(worst.values()) / max(1, campaign.summary().seeds)


def _search(
    pair: Pair,
    selection: Split,
    settings: RepairSettings,
    eps: int | None,
    control: Control,
) -> Campaign:
    search = SearchSettings(
        strategy=Boundary(),
        goal="severe",
        eps=eps,
        limit=settings.seeds,
        random_seed=settings.random_seed + 1,
    )
    return Campaign(pair, selection, search, control=control)


def bound_of_searches(seen: Seen, eps: int | None) -> int | None:
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
