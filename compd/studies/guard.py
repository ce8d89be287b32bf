"""When the device may trust itself: a threshold on its margin, with a guarantee (Hu et al. §6.1).

An image is accepted where the deployed model's own margin is at least the threshold; the others go
to the original, or to somebody who looks. Thresholds are tried from high to low in a fixed order,
and the last one before the first failure is taken: so all that are tried share one error of 5 %
(fixed-sequence testing; Angelopoulos et al., *Learn then Test*, 2021). It holds for images like
those that it was chosen on, and for no others: the shifted sets say so. A step has to keep the true
share within alpha (Clopper and Pearson 1934), and that of as many further images, which swings
around it: so a held-out half stays within alpha as often as is said.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compd.errors import SettingError
from compd.statistics import exceeded_next, upper_bound
from compd.studies.base import Study
from compd.studies.bench import Answered, Bench, ImageSet
from compd.text import names_in

__all__ = [
    "GUARD",
    "Accepted",
    "Guard",
    "GuardResult",
    "accepted_at",
    "choose",
    "halves",
    "needed",
    "rows_of",
]

_CONFIDENCE = 0.95
_GRID = tuple(i / 100 for i in range(99, -1, -1))  # margins, from high to low


@dataclass(frozen=True)
class Guard:
    """Settings of the study."""

    alpha: float = 0.01  # share of disagreement among accepted images, at most
    choose_on: (
        str | tuple[str, ...]
    ) = ()  # shifted sets whose images are chosen on, besides clean ones

    def __post_init__(self) -> None:
        given: Any = self.choose_on
        if isinstance(given, str):  # as it is typed
            object.__setattr__(self, "choose_on", tuple(names_in(given.replace("+", ","))))
        if not 1e-6 <= self.alpha < 1:
            raise SettingError("1e-6 <= alpha < 1", alpha=self.alpha)


@dataclass(frozen=True)
class Accepted:
    """What a threshold lets through of one set."""

    name: str
    images: int
    accepted: int
    apart: int  # of the accepted: images on which the models differ
    coverage: float  # share of images that are accepted
    disagreement: float  # among these
    bound: float  # one-sided 95 % bound of that, from above (Clopper and Pearson)
    holds: bool  # whether the disagreement is at most alpha
    accuracy: float | None  # of the deployed model on the accepted
    with_fallback: float | None  # of both, where the original answers what is not accepted


@dataclass(frozen=True)
class GuardResult:
    """The threshold, and what it lets through."""

    alpha: float
    confidence: float
    threshold: float | None  # margin of the deployed model; None: no threshold can be guaranteed
    needed: int  # accepted images without any disagreement that would prove alpha
    choosing: Accepted | None
    heldout: Accepted | None
    sets: tuple[Accepted, ...]  # shifted images and other data, most disagreement first
    curve: tuple[Accepted, ...]  # on the held-out rows, at each tenth of the margin
    stored: int | None  # effective entries of the corpus; None without one
    stored_accepted: int | None  # of these, that the threshold lets through
    device: str  # a JSON object in one line, for the device


def needed(alpha: float) -> int:
    """How many accepted images without any disagreement prove a share below alpha."""
    count = max(ceil(log(1 - _CONFIDENCE) / log(1 - alpha)), ceil(4 / alpha))
    while not proves(0, count, alpha):
        count += 1
    return count


def proves(count: int, of: int, alpha: float) -> bool:
    """Whether so many disagreements keep the share at or below alpha, with 95 % confidence.

    Both the true share, which Clopper and Pearson bound, and that of as many further images, which
    swings around it.
    """
    return upper_bound(count, of) <= alpha and exceeded_next(count, of, alpha) <= 1 - _CONFIDENCE


def choose(margins: Tensor, apart: Tensor, alpha: float) -> float | None:
    """The lowest threshold that keeps disagreement at or below alpha, with 95 % confidence.

    Both of all images like these, and of a held-out set as large.

    Args:
        margins: float (N,), of the deployed model, 0..1.
        apart: bool (N,), where the models differ.
        alpha: a share, 0..1.

    Returns:
        A margin, or None where none can be guaranteed. The first threshold tried is the highest
        that accepts enough images for a guarantee, which their number alone decides.
    """
    return choose_for_all([(margins, apart)], alpha)


def choose_for_all(sets: Sequence[tuple[Tensor, Tensor]], alpha: float) -> float | None:
    """The lowest threshold that does so on each of several sets, by its own images alone."""
    best, least = None, needed(alpha)
    for threshold in _GRID:
        accepted = [margins >= threshold for margins, _ in sets]
        counts = [int(one.sum()) for one in accepted]
        if min(counts) < least:
            continue
        if not all(
            proves(int((apart & one).sum()), count, alpha)
            for (_, apart), one, count in zip(sets, accepted, counts, strict=True)
        ):
            break
        best = threshold
    return best


def accepted_at(
    name: str, threshold: float | None, margins: Tensor, answered: Answered, alpha: float
) -> Accepted:
    """What a threshold lets through of a set; nothing if there is none."""
    through = margins >= (2.0 if threshold is None else threshold)
    count, n = int(through.sum()), len(margins)
    wrong = int((answered.apart & through).sum())
    accuracy = together = None
    if answered.images.labelled:
        right, own = answered.right(False), answered.right(True)
        accuracy = float(own[through].double().mean()) if count else None
        together = float(torch.where(through, own, right).double().mean())
    share = wrong / count if count else 0.0
    bound = upper_bound(wrong, count) if count else 1.0
    return Accepted(
        name, n, count, wrong, count / n, share, bound, share <= alpha, accuracy, together
    )


def halves(count: int, random_seed: int) -> tuple[Tensor, Tensor]:
    """Two random halves of so many rows, each in order."""
    draw = np.random.Generator(np.random.Philox(key=[random_seed % 2**64, 2]))
    order = torch.from_numpy(draw.permutation(count))
    return order[: count // 2].sort().values, order[count // 2 :].sort().values


def _run(config: Guard, bench: Bench) -> GuardResult:
    clean = bench.answers(bench.clean)
    first, second = halves(len(clean.images), bench.random_seed)
    chosen_on = [(clean.margins(True)[first], clean.apart[first])]
    later: list[Answered] = []
    for answered in bench.each("guard"):
        if answered.images is bench.clean:
            continue
        if _named(answered.images, config.choose_on):
            chosen_on.append((answered.margins(True)[first], answered.apart[first]))
        # images made of rows that were chosen on say nothing of new ones
        later.append(rows_of(answered, second) if answered.images.paired else answered)
    threshold = choose_for_all(chosen_on, config.alpha)
    choosing, heldout = (
        accepted_at(name, threshold, part.margins(True), part, config.alpha)
        for name, rows in (("choosing", first), ("held-out", second))
        for part in [rows_of(clean, rows)]
    )
    judged = rows_of(clean, second)
    sets = [
        accepted_at(answered.images.name, threshold, answered.margins(True), answered, config.alpha)
        for answered in later
    ]
    stored = bench.stored_margins()
    passing = (
        None if stored is None else int((stored >= (2.0 if threshold is None else threshold)).sum())
    )
    return GuardResult(
        alpha=config.alpha,
        confidence=_CONFIDENCE,
        threshold=threshold,
        needed=needed(config.alpha),
        choosing=choosing,
        heldout=heldout,
        sets=tuple(sorted(sets, key=lambda one: (-one.disagreement, one.name))),
        curve=tuple(
            accepted_at(f"{t / 10:.1f}", t / 10, judged.margins(True), judged, config.alpha)
            for t in range(10)
        ),
        stored=None if stored is None else len(stored),
        stored_accepted=passing,
        device=_device(config, bench, threshold),
    )


def rows_of(answered: Answered, rows: Tensor) -> Answered:
    """Some rows of what was answered."""
    images = replace(answered.images, labels=answered.images.labels[rows])
    return replace(
        answered,
        images=images,
        original=answered.original[rows],
        deployed=answered.deployed[rows],
    )


def _device(config: Guard, bench: Bench, threshold: float | None) -> str:
    return json.dumps(
        {
            "score": "margin",
            "probabilities": bench.pair.heads[1],
            "accept_at_least": threshold,
            "alpha": config.alpha,
            "confidence": _CONFIDENCE,
            "rows": bench.clean.rows,
            "chosen_on": ["clean", *config.choose_on],
            "deployed_sha256": bench.pair.deployed.content_hash,
            "original_sha256": bench.pair.reference.content_hash,
        }
    )


def _named(images: ImageSet, names: Sequence[str]) -> bool:
    return images.name in names or str(images.shift) in names


def _lacks(config: Guard, bench: Bench) -> str:
    for name in config.choose_on:
        if not any(_named(images, [name]) for images in bench.shifted):
            known = ", ".join(str(images.shift) for images in bench.shifted) or "there is none"
            raise SettingError(f"a shifted set of this study ({known})", choose_on=name)
    return "" if len(bench.clean) >= 2 else "there is one image alone"


GUARD = Study(Guard, _run, GuardResult, lacks=_lacks)
