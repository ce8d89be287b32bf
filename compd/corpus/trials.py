"""What shrinking asks about an image, and how large a change is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ask", "Floats", "Judged", "Levels", "Outcome", "Pixels", "Reply", "Slopes", "change"]

Pixels = NDArray[np.uint8]  # (C, H, W)
Levels = NDArray[np.int16]  # (C, H, W), a difference of images
Floats = NDArray[np.float32]


class Outcome(IntEnum):
    """What both models said of a trial."""

    SHORT = -1  # the deployed model does not give its label of the record, or not surely enough
    FLIP = 0  # both models give their labels of the record
    OVER = 1  # the deployed model does, and the original has left its own, or is about to


@dataclass(frozen=True)
class Slopes:
    """Of the margin of the seed's label over the deployed model's, on one image."""

    original: Floats  # (C, H, W), logits a level
    shadow: Floats
    margin: float  # mean of both models' margins, logits


@dataclass(frozen=True)
class Ask:
    """What a shrinking wants to know of an image: its outcome, or its slopes."""

    image: Pixels
    slopes: bool = False
    least: float = 0.0  # margin that a model has to give its label with


@dataclass(frozen=True)
class Judged:
    """What became of a trial."""

    outcome: Outcome
    severity: float = 0.0  # of a flip


Reply = Judged | Slopes


def change(image: Pixels, seed: Pixels) -> tuple[int, int, int]:
    """How large a change is: changed pixels, Linf in levels, sum of squared levels.

    A pixel is one position with all its channels. Compared as tuples, these order changes by size.
    """
    delta = image.astype(np.int32) - seed
    return int(delta.any(0).sum()), int(np.abs(delta).max(initial=0)), int((delta * delta).sum())
