"""Untouched held-out images: accuracies, natural disagreement, divergence, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from compd.data import Split
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.statistics import Share, mcnemar

__all__ = ["CleanChange", "measure_clean"]

_DROP_WORTH_A_NAME = 0.01  # of a class's accuracy


@dataclass(frozen=True)
class CleanChange:
    """Both compressed models and the original on untouched held-out images."""

    rows: str
    images: int
    accuracy_original: float
    accuracy_before: float
    accuracy_after: float
    top5: Mapping[str, float] | None  # the same three by name; None for ten classes or fewer
    accuracy_by_class: Mapping[str, tuple[float, float, float]]  # original, before, after
    worse_classes: tuple[str, ...]  # those that lost more than 0.01
    natural_before: Share  # where the deployed model's answer differs from the original's
    natural_after: Share
    fixed: Share  # images: differed before, agrees now
    stubborn: Share
    new: Share
    p_value: float  # McNemar's exact test of before against after
    kl_before: float  # mean divergence from the original, nats
    kl_after: float


def measure_clean(before: Pair, after: Pair, heldout: Split) -> CleanChange:
    """Measure both pairs on all held-out rows."""
    was, now = evaluate(before, heldout), evaluate(after, heldout)
    logits = {"original": was.original, "before": was.deployed, "after": now.deployed}
    labels, n = heldout.labels, len(heldout)
    right = {name: was.right(z).double() for name, z in logits.items()}
    by_class = {}
    for k, name in enumerate(before.classes):
        of_class = labels == k
        if of_class.any():
            accuracies = [float(right[who][of_class].mean()) for who in logits]
            by_class[name] = (accuracies[0], accuracies[1], accuracies[2])
    differed, differs = was.disagree, now.disagree

    def share(where: Tensor) -> Share:
        return Share.count_of(int(where.sum()), n)

    return CleanChange(
        rows=heldout.rows,
        images=n,
        accuracy_original=float(right["original"].mean()),
        accuracy_before=float(right["before"].mean()),
        accuracy_after=float(right["after"].mean()),
        top5=None
        if len(before.classes) <= 10
        else {
            who: float((z.topk(5).indices == labels[:, None]).any(1).double().mean())
            for who, z in logits.items()
        },
        accuracy_by_class=by_class,
        worse_classes=tuple(
            name for name, (_, was, now) in by_class.items() if was - now > _DROP_WORTH_A_NAME
        ),
        natural_before=share(differed),
        natural_after=share(differs),
        fixed=share(differed & ~differs),
        stubborn=share(differed & differs),
        new=share(~differed & differs),
        p_value=mcnemar(int((differed & ~differs).sum()), int((~differed & differs).sum())),
        kl_before=was.divergence,
        kl_after=now.divergence,
    )
