"""The oracle: what both models say of a candidate that has been a PNG in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from compd.clock import Clock
from compd.images import png_round_trip
from compd.models.inputs import predict
from compd.pair import Pair

__all__ = ["Answers", "Judge", "Judgement", "Verdict", "answers_of", "logit_margins", "verdicts_of"]

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
    to the preferred label if that takes part in it, else to the lower label. A model that answers
    NaN is sure of nothing: its probabilities are 0.

    Args:
        logits: float (N, K).
        prefer: int64 (N,), the labels that win ties.
    """
    logits = logits.float()
    probabilities = logits.softmax(1).nan_to_num()
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


def logit_margins(logits: Tensor, labels: Tensor, target: int | None = None) -> Tensor:
    """By how many logits a label leads: negative where it has lost.

    Args:
        logits: float (N, K).
        labels: int64 (N,).
        target: lead over this class alone; over the best other one if None.

    Returns:
        (N,), differentiable.
    """
    own = logits.gather(1, labels[:, None])
    if target is not None:
        return own[:, 0] - logits[:, target]
    rest = logits.scatter(1, labels[:, None], float("-inf")).amax(1, keepdim=True)
    return (own - rest)[:, 0]


@dataclass(frozen=True)
class Judgement:
    """Both models' answers to a batch of candidates, and the verdicts."""

    images: Tensor  # uint8 (N, C, H, W), what the models were shown
    original: Answers
    deployed: Answers
    original_logit_margin: Tensor  # float32 (N,), of the seed's label: see logit_margins
    deployed_logit_margin: Tensor  # float32 (N,)
    kept: Tensor  # bool (N,): the original keeps its label for the seed
    effective: Tensor  # bool (N,); with a target, only those that went over to it
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


def verdicts_of(
    images: Tensor, original: Tensor, deployed: Tensor, labels: Tensor, target: int | None = None
) -> Judgement:
    """Compare answers with the labels that the original gave for the seeds.

    Args:
        images: uint8 (N, C, H, W) that were answered.
        original: the original's logits, float (N, K).
        deployed: the deployed model's logits, float (N, K).
        labels: int64 (N,), the original's labels for the seeds.
        target: the only other label that makes a deviation count; any if None.
    """
    said, shipped = answers_of(original), answers_of(deployed, labels)
    kept = said.label == labels
    effective = kept & (shipped.label != labels if target is None else shipped.label == target)
    both = torch.minimum(said.margin, shipped.margin)
    return Judgement(
        images=images,
        original=said,
        deployed=shipped,
        original_logit_margin=logit_margins(original.float(), labels, target),
        deployed_logit_margin=logit_margins(deployed.float(), labels, target),
        kept=kept,
        effective=effective,
        valid=kept & (shipped.label == labels),
        severity=torch.where(effective, both, torch.zeros_like(both)),
    )


class Judge:
    """Judges candidates on the real models of a pair.

    Args:
        pair: the pair.
        clock: adds up the time inside the two models.
        target: the only other label that makes a deviation count; any if None.
        batch: images a model call; None for 256, and fewer where they are large.
        overlap: whether the deployed model runs beside the original, in a thread of its own. By
            default where they do not share a processor: the original on a GPU, int8 on the CPU.
    """

    def __init__(
        self,
        pair: Pair,
        clock: Clock | None = None,
        *,
        target: int | None = None,
        batch: int | None = None,
        overlap: bool | None = None,
    ) -> None:
        self.pair = pair
        if overlap is None:
            overlap = pair.device.type != "cpu"
        self._beside = ThreadPoolExecutor(1) if overlap else None
        self._clock = clock or Clock()
        self._target = target
        self._batch = batch

    def logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the original and the deployed model say of uint8 images (N, C, H, W)."""
        original, deployed = self.pair.reference.run, self.pair.deployed.run
        with self._clock.running():
            if self._beside is None:
                return (
                    predict(original, images, batch=self._batch),
                    predict(deployed, images, batch=self._batch),
                )
            shipped = self._beside.submit(predict, deployed, images, batch=self._batch)
            return predict(original, images, batch=self._batch), shipped.result()

    def untouched(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The original's labels (N,) of clean images, and whether the deployed model agrees."""
        with self._clock.running():
            original, deployed = (
                self.pair.answers.of(runtime, images)
                for runtime in (self.pair.reference, self.pair.deployed)
            )
        labels = answers_of(original).label
        return labels, answers_of(deployed, labels).label == labels

    def evaluate(self, candidates: Tensor, labels: Tensor) -> Judgement:
        """Run and compare: what guides a search. Nothing is counted or stored by this alone.

        Args:
            candidates: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        return verdicts_of(candidates, *self.logits(candidates), labels, self._target)

    def confirm(self, candidates: Tensor, labels: Tensor) -> Judgement:
        """Encode, decode, run and compare: the proof.

        Args:
            candidates: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        return self.evaluate(png_round_trip(candidates), labels)
