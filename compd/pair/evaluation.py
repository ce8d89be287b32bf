"""How a pair does on clean images: accuracies, and where its models differ untouched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from compd.control import QUIET, Control
from compd.data import Split
from compd.errors import ModelError
from compd.logits import disagrees, divergence
from compd.pair.flips import ClassFlips, Flips, class_flips
from compd.pair.images import Images, Labels, as_split
from compd.pair.pair import Pair
from compd.runtimes import Runtime
from compd.wording import setting

__all__ = ["SHADOW_ROWS", "Evaluation", "evaluate"]

# On which a shadow is compared where not all are asked for: it takes several times as long as the
# model that it stands for.
SHADOW_ROWS = 64
_SURE = 8  # images on which rows that add up to 1 are no accident


@dataclass(frozen=True)
class Evaluation:
    """What the models of a pair say of clean images."""

    split: Split
    original: Tensor  # float32 logits (N, K)
    deployed: Tensor  # float32 logits (N, K)
    shadow: Tensor | None = None  # float32 logits of the first images; None if it was not asked

    def __len__(self) -> int:
        return len(self.original)

    def __repr__(self) -> str:
        right = [self.accuracy(self.original), self.accuracy(self.deployed)]
        told = "".join(
            f", {name} right on {share:.1%}"
            for name, share in zip(("original", "deployed"), right, strict=True)
            if share is not None
        )
        differ = int(self.disagree.sum())
        return f"Evaluation({len(self)} images: the models differ on {differ}{told})"

    @cached_property
    def answers(self) -> Tensor:
        """int64 (N,): the original's labels."""
        return self.original.argmax(1)

    @cached_property
    def disagree(self) -> Tensor:
        """Bool (N,): where an application that takes the first largest answers otherwise."""
        return self.deployed.argmax(1).ne(self.answers) | ~self.deployed.isfinite().all(1)

    @cached_property
    def ties(self) -> Tensor:
        """Bool (N,): where it does so, and the original's answer is as large: an exact tie.

        Of a search these are no findings, since the order of classes decides them.
        """
        return self.disagree & ~disagrees(self.deployed, self.answers)

    @property
    def natural_disagreement(self) -> float:
        """The share of images on which it does, 0..1."""
        return _share(self.disagree)

    @property
    def natural_ties(self) -> int:
        """On how many of these images both labels are exactly as large."""
        return int(self.ties.sum())

    @property
    def divergence(self) -> float:
        """Mean Kullback-Leibler divergence of the deployed model from the original, in nats."""
        return float(divergence(self.deployed, self.original))

    def right(self, logits: Tensor) -> Tensor:
        """Bool (n,): where a model's answer is the label of the data."""
        return logits.argmax(1) == self.split.labels[: len(logits)]

    def accuracy(self, logits: Tensor | None) -> float | None:
        """Share of right answers, 0..1; None if nobody labelled the images, or there are none."""
        if logits is None or not self.split.labelled:
            return None
        return _share(self.right(logits))

    @cached_property
    def flips(self) -> Flips | None:
        """Which model is right on how many images; None if nobody labelled them."""
        if not self.split.labelled:
            return None
        return Flips.count_of(self.answers, self.deployed.argmax(1), self.split.labels)

    def flips_of(self, classes: Sequence[str]) -> tuple[ClassFlips, ...]:
        """The same of each class, the most negative flips first; none without labels.

        Args:
            classes: names, in label order.
        """
        if not self.split.labelled:
            return ()
        return class_flips(self.answers, self.deployed.argmax(1), self.split.labels, classes)

    @property
    def shadow_disagreement(self) -> float | None:
        """Share of the shadow's images on which the deployed model leaves its answer."""
        if self.shadow is None:
            return None
        return _share(self.deployed[: len(self.shadow)].argmax(1) != self.shadow.argmax(1))

    def to_json(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return {
            "images": len(self),
            "rows": self.split.rows,
            "original_accuracy": self.accuracy(self.original),
            "shadow_accuracy": self.accuracy(self.shadow),
            "deployed_accuracy": self.accuracy(self.deployed),
            "natural_disagreement": self.natural_disagreement,
            "natural_ties": self.natural_ties,
            "flips": None if self.flips is None else self.flips.to_json(),
            "shadow_images": 0 if self.shadow is None else len(self.shadow),
            "shadow_deployed_disagreement": self.shadow_disagreement,
        }


def evaluate(
    pair: Pair,
    images: Images,
    *,
    labels: Labels | None = None,
    shadow: int | None = 0,
    control: Control = QUIET,
) -> Evaluation:
    """Ask a pair's models about clean images; what they have said before is not asked again.

    Args:
        pair: the pair.
        images: of its shape: uint8 (N, C, H, W), rows of a data set, a data set or its name.
        labels: whole numbers (N,), of a batch of images.
        shadow: on how many of them, the first ones, to ask its shadow, if there is one, too; None
            for all.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if the images do not fit the pair.
        Stopped: if it was told to stop.
    """
    split = as_split(images, pair, labels)
    pair.check_input(split.images, "clean images")
    asked: list[tuple[Runtime, Tensor]] = [
        (pair.reference, split.images),
        (pair.deployed, split.images),
    ]
    if shadow != 0 and pair.has_shadow:
        asked.append((pair.shadow_runtime, split.images[:shadow]))
    said = []
    for i, (runtime, shown) in enumerate(asked):
        control.report("evaluating", i, len(asked), {"images": str(len(split))})
        with control.clock.running():
            said.append(pair.answers.of(runtime, shown, control))
    control.report("evaluating", len(asked), len(asked))
    for (runtime, _), logits in zip(asked[:2], said, strict=False):
        _check_logits(runtime, logits, pair.rebuilds)
    return Evaluation(split, said[0], said[1], said[2] if len(said) > 2 else None)


def _check_logits(runtime: Runtime, logits: Tensor, ours: bool) -> None:
    """Raise if what nobody calls probabilities plainly is; what is wrong with files is told apart.

    Args:
        runtime: that answered.
        logits: what it said.
        ours: whether the model came from a factory.
    """
    if runtime.file is not None or runtime.head is not None or len(logits) < _SURE:
        return
    inside = bool(((logits >= 0) & (logits <= 1)).all())
    if inside and not ours and not bool(((logits.sum(1) - 1).abs() < 1e-3).all()):
        raise ModelError(
            f"expected to know what {runtime.name} answers with, got numbers in 0..1 that do not "
            f"add up to 1; pass {setting('output', 'sigmoid')} if they are probabilities, or "
            f"{setting('output', 'logits')} if not"
        )
    if inside and bool(((logits.sum(1) - 1).abs() < 1e-3).all()):
        advice = "return them without the softmax" if ours else f"pass {setting('output', 'probs')}"
        raise ModelError(
            f"expected logits from {runtime.name}, got rows that add up to 1: probabilities; "
            f"{advice}"
        )


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())
