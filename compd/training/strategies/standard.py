"""Cross-entropy of the true labels, on the images as they are."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from compd.training.strategies.base import Batch, Loss, TrainingStrategy

__all__ = ["STANDARD", "Standard"]


@dataclass(frozen=True)
class Standard:
    """Nothing to set."""


def _step(config: Standard, batch: Batch) -> tuple[Tensor, Loss]:
    return batch.images, lambda logits: F.cross_entropy(logits, batch.labels)


STANDARD = TrainingStrategy(Standard, _step)
