"""The oracle: what both models say of a candidate that has been a PNG in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from compd.fuzz.clock import Clock
from compd.images import png_round_trip
from compd.pair import Pair

__all__ = ["Answers", "Judge", "Judgement", "Verdict", "answers_of", "verdicts_of"]

TOP = 3  # answers kept for each model


class Verdict(StrEnum):
    """What a candidate turned out to be."""

    EFFECTIVE = "effective"  # the original keeps its label for the seed, the deployed does not
    VALID = "valid"  # neither changed
    INVALID = "invalid"  # the original changed its own label


@dataclass(frozen=True)
class Answers:
    """One model's answers to a batch."""

    label: Tensor  # int64 (N,)
    confidence: Tensor  # float32 (N,), p(top-1)
    margin: Tensor  # float32 (N,), p(top-1) - p(top-2)
    top_labels: Tensor  # int64 (N, min(3, K)), most probable first
    top_probabilities: Tensor  # float32, the same shape


def answers_of(logits: Tensor, prefer: Tensor | None = None) -> Answers:
    """Softmax and sort.

    int8 logits take few values, so exact ties are common. A tie is no proof of a deviation: it goes
    to the preferred label if that takes part in it, else to the lower label.

    Args:
        logits: float (N, K).
        prefer: int64 (N,), the labels that win ties.
    """
    logits = logits.float()
    probabilities = logits.softmax(1)
    ranked = logits
    if prefer is not None:
        own = logits.gather(1, prefer[:, None])
        above = torch.nextafter(own, torch.full_like(own, float("inf")))
        ranked = logits.scatter(1, prefer[:, None], above)
    labels = ranked.sort(dim=1, descending=True, stable=True).indices
    values = probabilities.gather(1, labels)
    top = min(TOP, values.shape[1])
    return Answers(
        label=labels[:, 0],
        confidence=values[:, 0],
        margin=values[:, 0] - values[:, 1],
        top_labels=labels[:, :top],
        top_probabilities=values[:, :top],
    )


@dataclass(frozen=True)
class Judgement:
    """Both models' answers to a batch of candidates, and the verdicts."""

    images: Tensor  # uint8 (N, C, H, W), after the PNG round trip
    original: Answers
    deployed: Answers
    effective: Tensor  # bool (N,)
    valid: Tensor  # bool (N,)
    severity: Tensor  # float32 (N,): min of both margins where effective, else 0

    def only(self, where: Tensor) -> Judgement:
        """The same, with nothing effective outside ``where`` (bool, (N,))."""
        return replace(
            self,
            effective=self.effective & where,
            valid=self.valid | (self.effective & ~where),
            severity=self.severity * where,
        )

    def verdict(self, i: int) -> Verdict:
        """The verdict on one candidate."""
        if self.effective[i]:
            return Verdict.EFFECTIVE
        return Verdict.VALID if self.valid[i] else Verdict.INVALID


def verdicts_of(images: Tensor, original: Answers, deployed: Answers, labels: Tensor) -> Judgement:
    """Compare answers with the labels that the original gave for the seeds.

    Args:
        images: uint8 (N, C, H, W) that were answered.
        original: the original's answers.
        deployed: the deployed model's answers.
        labels: int64 (N,), the original's labels for the seeds.
    """
    kept = original.label == labels
    effective = kept & (deployed.label != labels)
    both = torch.minimum(original.margin, deployed.margin)
    return Judgement(
        images=images,
        original=original,
        deployed=deployed,
        effective=effective,
        valid=kept & ~effective,
        severity=torch.where(effective, both, torch.zeros_like(both)),
    )


class Judge:
    """Judges candidates on the real models of a pair.

    Args:
        pair: the pair.
        clock: adds up the time inside the two models.
    """

    def __init__(self, pair: Pair, clock: Clock | None = None) -> None:
        self._pair = pair
        self._clock = clock or Clock()

    def logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the original and the deployed model say of uint8 images (N, C, H, W)."""
        with self._clock.running():
            return self._pair.reference.run(images), self._pair.deployed.run(images)

    def untouched(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The original's labels (N,) of clean images, and whether the deployed model agrees."""
        original, deployed = self.logits(images)
        labels = answers_of(original).label
        return labels, answers_of(deployed, labels).label == labels

    def __call__(self, candidates: Tensor, labels: Tensor) -> Judgement:
        """Encode, decode, run and compare.

        Args:
            candidates: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        images = png_round_trip(candidates)
        original, deployed = self.logits(images)
        return verdicts_of(images, answers_of(original), answers_of(deployed, labels), labels)
