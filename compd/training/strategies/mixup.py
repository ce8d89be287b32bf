"""Mixup (Zhang et al. 2018): two images of a batch mixed, and their one-hot labels with them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.errors import SettingError
from compd.training.strategies.base import Batch, Loss, TrainingStrategy

__all__ = ["MIXUP", "Mixup"]


@dataclass(frozen=True)
class Mixup:
    """Settings of Mixup."""

    alpha: float = 0.2  # lambda ~ Beta(alpha, alpha), one a batch as in the paper's section 3

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 100:
            raise SettingError("0 < alpha < 100 of mixup", alpha=self.alpha)


def _step(config: Mixup, batch: Batch) -> tuple[Tensor, Loss]:
    """Images lambda x_i + (1 - lambda) x_j, and labels alike."""
    share = float(batch.draws.beta(config.alpha, config.alpha))
    others = torch.from_numpy(batch.draws.permutation(len(batch.labels))).to(batch.labels.device)
    mixed = share * batch.images + (1 - share) * batch.images[others]

    def loss(logits: Tensor) -> Tensor:
        labels = F.one_hot(batch.labels, logits.shape[1]).float()  # (B, K)
        return F.cross_entropy(logits, share * labels + (1 - share) * labels[others])

    return mixed, loss


MIXUP = TrainingStrategy(Mixup, _step)
