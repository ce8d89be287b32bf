"""The oracle: what both models say of a candidate that has been a PNG in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.images import png_round_trip
from compd.logits import Answers, answers_of, logit_margins
from compd.models.inputs import predict
from compd.pair import Pair
from compd.search.objective import LabelFlip, Objective

__all__ = ["Judge", "Judgement", "Verdict", "verdicts_of"]


class Verdict(StrEnum):
    """What a candidate turned out to be."""

    EFFECTIVE = "effective"  # the original keeps its label for the seed, the deployed does not
    VALID = "valid"  # neither changed
    INVALID = "invalid"  # the original changed its own label


@dataclass(frozen=True)
class Judgement:
    """Both models' answers to a batch of candidates, and the verdicts."""

    images: Tensor  # uint8 (N, C, H, W), what the models were shown
    original: Answers
    deployed: Answers
    original_logit_margin: Tensor  # float32 (N,), of the seed's label: see logit_margins
    deployed_logit_margin: Tensor  # float32 (N,)
    kept: Tensor  # bool (N,): the original keeps its label for the seed
    effective: Tensor  # bool (N,): a deviation, and one that the objective counts
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
    images: Tensor,
    original: Tensor,
    deployed: Tensor,
    labels: Tensor,
    target: int | None = None,
    *,
    heads: tuple[str, str] = ("softmax", "softmax"),
) -> Judgement:
    """Compare answers with the labels that the original gave for the seeds.

    Args:
        images: uint8 (N, C, H, W) that were answered.
        original: the original's logits, float (N, K).
        deployed: the deployed model's logits, float (N, K).
        labels: int64 (N,), the original's labels for the seeds.
        target: the label over which logit margins are taken; the best other one if None.
        heads: the pair's: what margins and severities are of.
    """
    said = answers_of(original, head=heads[0])
    shipped = answers_of(deployed, labels, head=heads[1])
    kept = said.label == labels
    effective = kept & (shipped.label != labels)
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
        control: its clock adds up the time inside the two models.
        objective: which deviations count.
        overlap: whether the deployed model runs beside the original, in a thread of its own. By
            default where they do not share a processor: the original on a GPU, int8 on the CPU.
    """

    def __init__(
        self,
        pair: Pair,
        control: Control = QUIET,
        *,
        objective: Objective | None = None,
        overlap: bool | None = None,
    ) -> None:
        self.pair = pair
        if overlap is None:
            overlap = pair.device.type != "cpu"
        self._beside = ThreadPoolExecutor(1) if overlap else None
        self._clock = control.clock
        self._objective = objective or LabelFlip()
        self._target = self._objective.label_of(self._objective.target, pair.classes)

    def logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the original and the deployed model say of uint8 images (N, C, H, W)."""
        original, deployed = self.pair.reference.run, self.pair.deployed.run
        batch = self.pair.batch
        with self._clock.running():
            if self._beside is None:
                return (
                    predict(original, images, batch=batch),
                    predict(deployed, images, batch=batch),
                )
            shipped = self._beside.submit(predict, deployed, images, batch=batch)
            return predict(original, images, batch=batch), shipped.result()

    def evaluate(self, candidates: Tensor, labels: Tensor) -> Judgement:
        """Run and compare: what guides a search. Nothing is counted or stored by this alone.

        Args:
            candidates: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        judgement = verdicts_of(
            candidates,
            *self.logits(candidates),
            labels,
            self._target,
            heads=self.pair.heads,
        )
        counts = self._objective.holds(
            judgement.deployed.label, judgement.severity, self.pair.classes
        )
        # what deviates and does not count is neither effective nor valid
        return replace(
            judgement,
            effective=judgement.effective & counts,
            severity=judgement.severity * counts,
        )

    def confirm(self, candidates: Tensor, labels: Tensor) -> Judgement:
        """Encode, decode, run and compare: the proof.

        Args:
            candidates: uint8 (N, C, H, W).
            labels: int64 (N,), the original's labels for their seeds.
        """
        return self.evaluate(png_round_trip(candidates), labels)
