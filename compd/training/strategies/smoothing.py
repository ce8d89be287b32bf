"""Label smoothing (Szegedy et al. 2016): a share of each label goes to all classes alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from compd.errors import SettingError
from compd.training.strategies.base import Batch, Loss, TrainingStrategy

__all__ = ["SMOOTHING", "Smoothing"]


@dataclass(frozen=True)
class Smoothing:
    """Settings of label smoothing."""

    epsilon: float = 0.1  # of a label; the true class keeps 1 - epsilon + epsilon / K

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < 1:
            raise SettingError("0 < epsilon < 1 of smoothing", epsilon=self.epsilon)


def _step(config: Smoothing, batch: Batch) -> tuple[Tensor, Loss]:
    return batch.images, lambda logits: F.cross_entropy(
        logits, batch.labels, label_smoothing=config.epsilon
    )


SMOOTHING = TrainingStrategy(Smoothing, _step)
