"""How a pair does on clean test rows, and on shifted ones, as far as a policy limits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compd.control import QUIET, Control
from compd.data import Splits
from compd.gating.policy import Policy
from compd.pair import Pair
from compd.pair.evaluation import Evaluation, evaluate
from compd.pair.flips import Flips
from compd.shifts import parse_shift
from compd.statistics import upper_bound
from compd.studies.bench import Answered, Bench
from compd.studies.guard import accepted_at, choose, halves, rows_of

__all__ = ["CleanRows", "Guarded", "ShiftedRows", "clean_of", "tied"]


@dataclass(frozen=True)
class ShiftedRows:
    """The test rows under one shift."""

    shift: str  # "fog:3"
    images: int
    disagree: int  # images on which the two models differ
    disagree_bound: float  # one-sided 95 % bound of that share, from above


@dataclass(frozen=True)
class Guarded:
    """What a guard does that was chosen on one random half of the test rows, on the other half."""

    alpha: float  # share of disagreement among accepted images that it guarantees
    threshold: float | None  # margin of the deployed model; None: none can be guaranteed
    images: int  # held out
    accepted: int
    disagree: int  # of the accepted: images on which the two models differ
    coverage: float  # share of images that are accepted


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
    flips: Flips | None = None  # which model is right; None if the rows are not labelled
    flips_bound: float | None = None  # one-sided 95 % bound of the negative flip rate, from above
    class_flips: Mapping[str, tuple[int, int]] | None = None  # class -> negative flips, images
    shifted: tuple[ShiftedRows, ...] = ()  # of the shifts that the policy limits
    guard: Guarded | None = None  # None: the policy asks for none

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        content = asdict(self)
        return {**content, "flips": None if self.flips is None else self.flips.to_json()}


def clean_of(
    pair: Pair, splits: Splits, policy: Policy | None = None, *, control: Control = QUIET
) -> CleanRows:
    """Measure a pair on its test rows.

    Args:
        pair: the pair.
        splits: of a data set with the pair's classes and image size.
        policy: whose shifts and guard are looked at, too.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if the images do not fit the pair, or a shift does not fit the images.
        Stopped: if it was told to stop.
    """
    policy = policy or Policy()
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
    flips = seen.flips
    bench = None
    if policy.max_shift_disagreement or policy.guard_alpha is not None:
        shifts = [parse_shift(name) for name in policy.max_shift_disagreement or {}]
        bench = Bench(pair, test, shifts=shifts, random_seed=policy.random_seed, control=control)
    return CleanRows(
        rows=test.rows,
        images=len(test),
        disagree=disagree,
        ties=seen.natural_ties,
        disagree_bound=upper_bound(disagree, len(test)),
        original_accuracy=seen.accuracy(seen.original),
        deployed_accuracy=seen.accuracy(seen.deployed),
        class_drops=drops,
        flips=flips,
        flips_bound=None if flips is None else upper_bound(flips.only_original, flips.of),
        class_flips={
            one.name: (one.only_original, one.images) for one in seen.flips_of(pair.classes)
        },
        shifted=() if bench is None else _shifted(bench),
        guard=None if bench is None else _guarded(bench, seen, policy),
    )


def tied(clean: CleanRows) -> str:
    """What of the natural disagreement are exact ties, in brackets; empty if nothing is."""
    return f" ({clean.ties} of them exact ties)" if clean.ties else ""


def _shifted(bench: Bench) -> tuple[ShiftedRows, ...]:
    found: list[ShiftedRows] = []
    for images in bench.shifted:
        bench.control.report("measuring shifted rows", len(found), len(bench.shifted))
        apart = int(bench.answers(images).apart.sum())
        name = str(images.shift)
        found.append(ShiftedRows(name, len(images), apart, upper_bound(apart, len(images))))
    return tuple(found)


def _guarded(bench: Bench, seen: Evaluation, policy: Policy) -> Guarded | None:
    """Choose a threshold on one half of the rows, and see what it does on the other."""
    alpha = policy.guard_alpha
    if alpha is None:
        return None
    clean = Answered(bench.clean, seen.original, seen.deployed, bench.pair.heads)
    choosing, heldout = (rows_of(clean, rows) for rows in halves(len(seen), policy.random_seed))
    threshold = choose(choosing.margins(True), choosing.apart, alpha)
    through = accepted_at("held-out", threshold, heldout.margins(True), heldout, alpha)
    return Guarded(
        alpha, threshold, through.images, through.accepted, through.apart, through.coverage
    )
