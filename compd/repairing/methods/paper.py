"""The published repair (Li et al., ACML 2023, section 3.4): fine-tune on the findings."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.repairing.methods.base import Bench, Schedule

__all__ = ["Paper", "paper_loss"]


@dataclass(frozen=True)
class Paper(Schedule):
    """Cross-entropy on the original's label, stored deviations among training images.

    A hundredth of the learning rate of training (0.1), as published.
    """

    lr: float = 1e-3
    batch: int = 128
    optimiser: str = "sgd"
    stored: float = 0.5
    clean: float = 0.5


def paper_loss(config: Paper, bench: Bench, draw: torch.Generator) -> Tensor:
    """Mean cross-entropy of one mixed batch."""
    stored = bench.deviations(int(config.stored * config.batch), draw)
    x = torch.cat([bench.clean(config.batch - len(stored), draw), stored])
    return F.cross_entropy(bench.shadow(x), bench.answers(x).argmax(1))
