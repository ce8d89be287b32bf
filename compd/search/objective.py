"""What a search is after: an objective says which deviations count.

A deviation is a candidate on which the original keeps its label for the seed and the deployed model
gives another one. An objective narrows that down. Objectives are combined by ``&``:

    LabelFlip() & TargetClass("dog") & LeastMargin(0.2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compd.errors import SettingError, unknown

__all__ = ["LabelFlip", "LeastMargin", "Objective", "SourceClass", "TargetClass", "flip"]


@dataclass(frozen=True)
class Objective:
    """Which deviations count; the base of all, which counts each."""

    def holds(self, labels: Tensor, severity: Tensor, classes: Sequence[str]) -> Tensor:
        """Which of some deviations count.

        Args:
            labels: int64 (N,), the deployed model's answers.
            severity: float32 (N,), the smaller of both models' margins.
            classes: names in label order.

        Returns:
            bool (N,).
        """
        del severity, classes
        return torch.ones_like(labels, dtype=torch.bool)

    @property
    def source(self) -> str | None:
        """The only class whose seeds are searched from; None for any."""
        return None

    @property
    def target(self) -> str | None:
        """The only class that the deployed model may go over to; None for any."""
        return None

    def check(self, classes: Sequence[str]) -> None:
        """Raise unless its classes are known and differ.

        Raises:
            SettingError: then.
        """
        for name in (self.source, self.target):
            if name is not None and name not in classes:
                raise unknown("class", name, classes)
        if self.source is not None and self.source == self.target:
            raise SettingError("two different classes", flip=f"{self.source}:{self.target}")

    def label_of(self, name: str | None, classes: Sequence[str]) -> int | None:
        """The label of a class."""
        return None if name is None else list(classes).index(name)

    def to_json(self) -> list[dict[str, Any]]:
        """Its parts as JSON objects, each with its kind."""
        return [{"kind": type(self).__name__, **asdict(self)}]

    def __and__(self, other: Objective) -> Objective:
        return All((self, other))


@dataclass(frozen=True)
class LabelFlip(Objective):
    """Any other label than the original's."""


@dataclass(frozen=True)
class SourceClass(Objective):
    """Only from seeds to which the original gives this class."""

    name: str

    @property
    def source(self) -> str | None:
        """The class."""
        return self.name


@dataclass(frozen=True)
class TargetClass(Objective):
    """Only what the deployed model takes for this class; gradients lead there."""

    name: str

    @property
    def target(self) -> str | None:
        """The class."""
        return self.name

    def holds(self, labels: Tensor, severity: Tensor, classes: Sequence[str]) -> Tensor:
        """Where the deployed model gives this class."""
        return labels.eq(self.label_of(self.name, classes) or 0)


@dataclass(frozen=True)
class LeastMargin(Objective):
    """Only where both models are sure: each margin p(top-1) - p(top-2) at least this, 0..1."""

    margin: float

    def __post_init__(self) -> None:
        if not 0 <= self.margin <= 1:
            raise SettingError("a margin in 0..1", margin=self.margin)

    def holds(self, labels: Tensor, severity: Tensor, classes: Sequence[str]) -> Tensor:
        """Where the smaller of both margins is that large."""
        return severity >= self.margin


@dataclass(frozen=True)
class All(Objective):
    """All of some objectives; :meth:`Objective.__and__` makes it."""

    parts: tuple[Objective, ...]

    def __post_init__(self) -> None:
        for what in ("source", "target"):
            names = {getattr(part, what) for part in self.parts} - {None}
            if len(names) > 1:
                raise SettingError(f"one {what} class", **{what: " and ".join(sorted(names))})

    @property
    def source(self) -> str | None:
        """That of the part which has one."""
        return next((part.source for part in self.parts if part.source is not None), None)

    @property
    def target(self) -> str | None:
        """That of the part which has one."""
        return next((part.target for part in self.parts if part.target is not None), None)

    def holds(self, labels: Tensor, severity: Tensor, classes: Sequence[str]) -> Tensor:
        """Where all parts hold."""
        return torch.stack([part.holds(labels, severity, classes) for part in self.parts]).all(0)

    def to_json(self) -> list[dict[str, Any]]:
        """Those of its parts."""
        return [one for part in self.parts for one in part.to_json()]


def flip(source: str, target: str) -> Objective:
    """From seeds of one class to another: ``cat`` that becomes ``dog``."""
    return SourceClass(source) & TargetClass(target)
