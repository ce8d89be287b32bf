"""How a pair does on clean test rows, as far as a policy limits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compd.control import QUIET, Control
from compd.data import Splits
from compd.errors import InputError
from compd.gating.policy import Policy
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.statistics import upper_bound
from compd.wording import setting

__all__ = ["CleanRows", "clean_of", "failures_of", "tied"]


@dataclass(frozen=True)
class CleanRows:
    """Accuracies and natural disagreement, as counts."""

    rows: str
    images: int
    disagree: int  # images on which the two models differ
    ties: int  # of these, on which the deployed model's two labels tie
    disagree_bound: float  # one-sided 95 % bound of that share, from above
    original_accuracy: float | None  # None if the rows are not labelled
    deployed_accuracy: float | None
    class_drops: Mapping[str, float]  # class -> original's accuracy on it minus the deployed's

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def clean_of(pair: Pair, splits: Splits, *, control: Control = QUIET) -> CleanRows:
    """Measure a pair on its test rows.

    Args:
        pair: the pair.
        splits: of a data set with the pair's classes and image size.
        control: its clock adds up the time inside model calls.

    Raises:
        CompdError: if the images do not fit the pair.
    """
    test = splits.test()
    seen = evaluate(pair, test, control=control)
    right, shipped = seen.right(seen.original), seen.right(seen.deployed)
    drops = {}
    if test.labelled:
        for k, name in enumerate(pair.classes):
            mine = test.labels == k
            if mine.any():
                drop = right[mine].double().mean() - shipped[mine].double().mean()
                drops[name] = round(float(drop), 6)
    disagree = int(seen.disagree.sum())
    return CleanRows(
        rows=test.rows,
        images=len(test),
        disagree=disagree,
        ties=seen.natural_ties,
        disagree_bound=upper_bound(disagree, len(test)),
        original_accuracy=seen.accuracy(seen.original),
        deployed_accuracy=seen.accuracy(seen.deployed),
        class_drops=drops,
    )


def tied(clean: CleanRows) -> str:
    """What of the natural disagreement are exact ties, in brackets; empty if nothing is."""
    return f" ({clean.ties} of them exact ties)" if clean.ties else ""


def failures_of(clean: CleanRows, policy: Policy) -> dict[str, str]:
    """What a policy does not let pass: its limit's name -> one line.

    Raises:
        CompdError: if accuracies are limited and there are no labels.
    """
    failures = {}
    limit = policy.max_natural_disagreement
    if limit is not None and clean.disagree_bound > limit:
        failures["max-natural-disagreement"] = (
            f"{clean.disagree} of {clean.images} clean images differ{tied(clean)}, so the share is "
            f"below {clean.disagree_bound:.2%} with 95 % confidence; allowed are {limit:.2%}"
        )
    if policy.max_accuracy_drop is None and policy.max_class_accuracy_drop is None:
        return failures
    if clean.original_accuracy is None or clean.deployed_accuracy is None:
        raise InputError(
            "expected labelled images to limit accuracies, got none; take max-accuracy-drop out, "
            f"or name {setting('data')} with class folders"
        )
    limit = policy.max_accuracy_drop
    drop = clean.original_accuracy - clean.deployed_accuracy
    if limit is not None and drop > limit:
        failures["max-accuracy-drop"] = (
            f"accuracy {clean.original_accuracy:.2%} → {clean.deployed_accuracy:.2%} on "
            f"{clean.images} images; allowed is a drop of {limit:.2%}"
        )
    limit = policy.max_class_accuracy_drop
    worst = sorted((-drop, name) for name, drop in clean.class_drops.items())
    lost = [f"{name} {-drop:.2%}" for drop, name in worst if limit is not None and -drop > limit]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        failures["max-class-accuracy-drop"] = (
            f"accuracy lost in {', '.join(lost[:5])}{more}; allowed are {limit:.2%}"
        )
    return failures
