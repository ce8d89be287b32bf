"""What a training strategy is: it changes the images of a batch and their loss, nothing else.

Order, augmentation, schedule and initial weights are the loop's, so that strategies can be compared
at one budget. What a strategy draws comes from a generator of its own, and moves none of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor, nn

__all__ = ["Batch", "Loss", "TrainingStrategy"]

Loss: TypeAlias = Callable[[Tensor], Tensor]  # logits (B, K) float32 -> one number


@dataclass(frozen=True)
class Batch:
    """A step's augmented images, and what a strategy may ask about them."""

    images: Tensor  # float (B, C, H, W) in 0..1, on the device
    labels: Tensor  # int64 (B,), on the device
    model: nn.Module  # under training, in its mode; not to be changed
    forward: Callable[[Tensor], Tensor]  # images to its logits (B, K), float32
    draws: np.random.Generator  # of this step alone


@dataclass(frozen=True)
class TrainingStrategy:
    """A registered training strategy."""

    config: type[Any]  # a frozen dataclass with defaults
    # (config, batch) -> the images to train on, float (B, C, H, W), and the loss of their logits
    step: Callable[[Any, Batch], tuple[Tensor, Loss]]
