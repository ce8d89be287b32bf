"""Which of two models is right where: flips with their direction, overall and for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from compd.statistics import Share, holm, mcnemar

__all__ = ["ClassFlips", "Flips", "class_flips"]

_LEVEL = 0.05  # of Holm's family: how often a class is named though it does not lose


@dataclass(frozen=True)
class Flips:
    """Labelled images by which of the two models is right."""

    both_right: int
    only_original: int  # negative flips: what the compression breaks
    only_deployed: int
    both_wrong: int
    both_wrong_apart: int  # of these: images on which the two models differ

    @classmethod
    def count_of(cls, original: Tensor, deployed: Tensor, labels: Tensor) -> Flips:
        """Count them.

        Args:
            original: int64 (N,), the original's answers.
            deployed: int64 (N,), the deployed model's.
            labels: int64 (N,), the truth.
        """
        first, second = original == labels, deployed == labels
        wrong = ~first & ~second
        return cls(
            int((first & second).sum()),
            int((first & ~second).sum()),
            int((second & ~first).sum()),
            int(wrong.sum()),
            int((wrong & (original != deployed)).sum()),
        )

    @property
    def of(self) -> int:
        """The number of images."""
        return self.both_right + self.only_original + self.only_deployed + self.both_wrong

    @property
    def negative(self) -> Share:
        """The negative flip rate, with its interval: only the original is right."""
        return Share.count_of(self.only_original, self.of)

    @property
    def reverse(self) -> Share:
        """The rate of the reverse, with its interval: only the deployed model is right."""
        return Share.count_of(self.only_deployed, self.of)

    def to_json(self) -> dict[str, Any]:
        """The counts and both rates, as a JSON object."""
        rates = {"negative": asdict(self.negative), "reverse": asdict(self.reverse)}
        return {**asdict(self), **rates}

    @property
    def p_value(self) -> float:
        """McNemar's exact test of whether one of the models is right more often."""
        return mcnemar(self.only_original, self.only_deployed)


@dataclass(frozen=True)
class ClassFlips:
    """The flips on images of one class."""

    name: str
    images: int
    only_original: int
    only_deployed: int
    low: float  # the interval of the negative flip rate (Wilson)
    high: float
    p_value: float  # McNemar's, corrected for the number of classes (Holm)

    @property
    def loses(self) -> bool:
        """Whether the deployed model is worse on this class by more than chance."""
        return self.only_original > self.only_deployed and self.p_value < _LEVEL


def class_flips(
    original: Tensor, deployed: Tensor, labels: Tensor, classes: Sequence[str]
) -> tuple[ClassFlips, ...]:
    """The flips of each class that has images, the most negative flips first.

    Args:
        original: int64 (N,), the original's answers.
        deployed: int64 (N,), the deployed model's.
        labels: int64 (N,), the truth.
        classes: names, in label order.
    """
    found = []
    for k, name in enumerate(classes):
        mine = labels == k
        if mine.any():
            found.append((name, Flips.count_of(original[mine], deployed[mine], labels[mine])))
    corrected = holm([flips.p_value for _, flips in found])
    named = [
        ClassFlips(
            name,
            flips.of,
            flips.only_original,
            flips.only_deployed,
            flips.negative.low,
            flips.negative.high,
            p_value,
        )
        for (name, flips), p_value in zip(found, corrected, strict=True)
    ]
    return tuple(sorted(named, key=lambda one: (-one.only_original / one.images, one.name)))
