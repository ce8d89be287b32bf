"""Whether files are read as they were made: images that go in, and numbers that come out.

What is found is told with what to pass, which has been tried (:mod:`compd.pair.advice`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.pair.advice import Tried, tried
from compd.pair.evaluation import Evaluation
from compd.pair.pair import Pair
from compd.pair.readings import Reading, better_readings, information
from compd.pair.warnings import LEAST
from compd.runtimes import FileRuntime, Overrides
from compd.wording import setting

__all__ = ["MANY", "WRONG", "Hint", "misread", "output_faults"]

WRONG = 0.3  # natural disagreement of a pair that is none
MANY = 0.1  # of one that is worth a look
_SLACK = 0.01  # by which advice may fall short of what it promises: numbers are printed short


def output_faults(pair: Pair, seen: Evaluation, role: str, runtime: FileRuntime) -> list[str]:
    """What is wrong with one file's answers, whatever the other says."""
    name, logits = runtime.path.name, seen.original if role == "original" else seen.deployed
    if not bool(torch.isfinite(logits).all()):
        return [
            f"expected finite answers from the {role} {name!r}, got NaN or infinity; check "
            f"{setting('range')}, {setting('mean')} and {setting('std')}"
        ]
    what, better = _unlike(runtime, logits)
    if not what:
        return []

    def mends(then: Tried) -> bool:
        """Nothing is wrong with the answers of either file then."""
        for one, answers in zip(then.models, (then.original, then.deployed), strict=True):
            if not bool(torch.isfinite(answers).all()):
                return False
            if one.file is not None and _unlike(one.file, answers)[0]:
                return False
            asked = one.file is not None and one.file.path == runtime.path and what == _UNTOLD
            if not asked and not _sensible(answers):
                return False
        return then.apart < WRONG

    ways = []
    for output in better:
        advice = tried(
            pair.reference, pair.deployed, role, Overrides(output=output), seen.split.images, mends
        )
        ways += [] if advice is None else [advice.text]
    pass_ = f"; pass {' or '.join(ways)}" if ways else ""
    return [f"expected {what} from the {role} {name!r}, {_COMES[what]}{pass_}"]


_UNTOLD = "to be told what comes"
_COMES = {
    "logits": "got rows that add up to 1",
    "probabilities": "got rows that do not add up to 1",
    _UNTOLD: "got numbers in 0..1 that do not add up to 1, and no sigmoid at its end",
}


def _unlike(runtime: FileRuntime, logits: Tensor) -> tuple[str, tuple[str, ...]]:
    """What was expected of a file's answers and did not come, and what they may be instead."""
    form = runtime.format
    if form.output == "probs" and _uneven(logits.exp().sum(1)):
        return "probabilities", ("logits", "sigmoid")
    if form.output != "logits" or form.single or _sensible(logits):
        return "", ()
    if bool(((logits.sum(1) - 1).abs() < 0.02).all()):
        return "logits", ("probs",)
    if runtime.said_by("output") is not None or len(logits) < LEAST:
        return "", ()
    return _UNTOLD, ("sigmoid", "logits")


def _uneven(sums: Tensor) -> bool:
    """Whether rows of probabilities, or of as many percents, add up to different sums."""
    return bool(((sums / sums.median()) - 1).abs().max() > 0.1)


def _sensible(values: Tensor) -> bool:
    """Whether numbers can be logits: not all of them lie in 0..1."""
    return len(values) < 2 or bool((values < 0).any()) or bool((values > 1.02).any())


@dataclass(frozen=True)
class Hint:
    """Another reading of a file that it does better with."""

    text: str
    measured: bool  # by labels or by the other model
    proved: bool  # so, and against nothing that anybody said


def misread(pair: Pair, seen: Evaluation, renamed: float) -> list[Hint]:
    """Whether the files understand the images better when they are read otherwise.

    ``renamed`` is the original's accuracy with labels in another order, which may explain more.
    """
    hints: list[Hint] = []
    images, labels = seen.split.images, seen.split.labels if seen.split.labelled else None
    if len(images) < LEAST:
        return hints
    reference, deployed = pair.reference.file, pair.deployed.file
    if reference is not None:
        better = better_readings(reference, images, labels=labels, now=seen.original)
        better = [one for one in better if one.after > renamed - 0.05]
        hints += _hint(pair, seen, "original", reference, better)
        if hints and hints[0].proved:  # the deployed one is compared with its answers
            return hints
    if deployed is not None and seen.natural_disagreement >= MANY:
        better = better_readings(
            deployed,
            images,
            labels=labels,
            answers=seen.answers,
            now=seen.deployed,
            like=None if reference is None else reference.format,
        )
        hints += _hint(pair, seen, "deployed", deployed, better)
    return hints


def _hint(
    pair: Pair, seen: Evaluation, role: str, runtime: FileRuntime, readings: Sequence[Reading]
) -> list[Hint]:
    """What a user says comes first, then what a file says; a guess against either only warns.

    The best of the readings that can be had by what a user passes; none if none can.
    """

    def mends(then: Tried) -> bool:
        if role == "deployed":
            return 1 - then.apart >= found.after - _SLACK
        worth = {
            "nats": lambda: information(then.original),
            "accuracy": lambda: float(seen.right(then.original).double().mean()),
        }[found.measure]()
        together = then.apart <= max(seen.natural_disagreement, MANY)
        return together and worth >= found.after - _SLACK

    for found in readings:
        advice = tried(
            pair.reference, pair.deployed, role, found.overrides, seen.split.images, mends
        )
        if advice is not None:
            break
    else:
        return []
    if found.measure == "nats":
        worth = f"its answers tell {found.after:.2f} nats of the images, not {found.before:.2f}"
    else:
        worth = f"{found.measure} {found.after:.1%} instead of {found.before:.1%}"
    other = f" (or {setting('labels')}, if the classes are in another order)"
    other = other if found.measure == "accuracy" else ""
    name, changed = runtime.path.name, runtime.changed_by(found.overrides)
    said = sorted({f"{who}: {field}" for field in changed if (who := runtime.said_by(field))})
    if found.measure != "nats" and not said:
        return [
            Hint(
                f"expected images as the {role} {name!r} was trained on them, got another reading: "
                f"with {found.name} {worth}; pass {advice.text}{other}",
                measured=True,
                proved=True,
            )
        ]
    against = f" (said by {', '.join(said)})" if said else ""
    return [
        Hint(
            f"the {role} {name!r} may have been trained on images that are read otherwise{against}"
            f": with {found.name} {worth}; if so, pass {advice.text}{other}",
            measured=found.measure != "nats",
            proved=False,
        )
    ]
