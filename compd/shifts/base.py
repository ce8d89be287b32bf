"""What a kind of shift is, a shift, and the batch that a kind works on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compd.errors import SettingError

__all__ = ["Batch", "Draws", "Frost", "Kind", "Pixels", "Shift", "Values", "cut", "rounded"]

Pixels: TypeAlias = NDArray[np.uint8]
Values: TypeAlias = NDArray[np.float64]  # of pixels, in 0..1
Draws: TypeAlias = Sequence[np.random.Generator]
Frost: TypeAlias = tuple[Pixels, ...]  # photographs, (3, H, W) each

_SLACK = 1e-6  # a value that is a whole level stays it, whatever the order of its sums


@dataclass(frozen=True)
class Shift:
    """A kind of shift and how far it goes.

    Args:
        kind: a name of :data:`compd.shifts.SHIFTS`.
        severity: one of the kind's levels; 0 leaves images as they are.
    """

    kind: str
    severity: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.severity:g}"


@dataclass(frozen=True)
class Batch:
    """Images that one kind shifts to one level."""

    pixels: Pixels  # (N, C, H, W), read-only
    level: float  # never 0
    draws: Draws  # one generator an image; none where the kind does not draw
    frost: Frost | None = None  # photographs of the user

    @property
    def values(self) -> Values:
        """The pixels in 0..1, (N, C, H, W), a fresh array."""
        return self.pixels / 255.0

    @property
    def side(self) -> int:
        """The longer side in pixels, which lengths are scaled by."""
        return int(max(self.pixels.shape[2:]))


@dataclass(frozen=True)
class Kind:
    """A kind of shift.

    Each image's result depends on that image and its generator alone, never on what else is in the
    batch.

    Args:
        apply: a batch to uint8 (N, C, H, W) of the same shape.
        about: what it does, one line.
        groups: that it is part of.
        levels: that are taken where nobody says which, the mildest first.
        unit: of the levels.
        limits: the least and the largest level that it takes; None for none but ``levels``.
        whole: whether levels are whole numbers.
        channels: of images that it takes.
        random: whether it draws.
        package: a module of the extra ``study`` that it needs; empty for none.
    """

    apply: Callable[[Batch], Pixels]
    about: str
    groups: tuple[str, ...]
    levels: tuple[float, ...] = (1, 2, 3, 4, 5)
    unit: str = "severity"
    limits: tuple[float, float] | None = None
    whole: bool = True
    channels: tuple[int, ...] = (1, 3)
    random: bool = True
    package: str = ""

    def __post_init__(self) -> None:
        if not self.levels or not all(self.takes(level) for level in self.levels):
            raise SettingError(
                "levels that are not 0 and within the limits",
                levels=self.levels,
                limits=self.limits,
            )

    @property
    def graded(self) -> bool:
        """Whether its levels are severities 1 to 5."""
        return self.levels == (1, 2, 3, 4, 5)

    def takes(self, level: float) -> bool:
        """Whether it can be applied to this level; 0 is the identity, and no level."""
        if level == 0 or not math.isfinite(level) or (self.whole and level != round(level)):
            return False
        if self.limits is None:
            return level in self.levels
        return self.limits[0] <= level <= self.limits[1]


def cut(values: Values) -> Pixels:
    """Values in 0..1 to levels, cut as the published arrays are: 0.999 is level 254."""
    pixels: Pixels = np.floor(values.clip(0, 1) * 255 + _SLACK).astype(np.uint8)
    return pixels


def rounded(values: Values) -> Pixels:
    """Values in 0..1 to the nearest level."""
    pixels: Pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return pixels
