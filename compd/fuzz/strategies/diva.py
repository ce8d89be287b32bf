"""DIVA (Hao et al., MLSys 2022), batched, on the lattice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.errors import CompdError
from compd.fuzz.strategies.base import Proposal, Search, Task

__all__ = ["Diva", "search_diva"]


@dataclass(frozen=True)
class Diva:
    """Settings of DIVA; the defaults are the published ones."""

    steps: int = 20
    step_levels: int = 1  # of 255
    c: float = 1.0  # weight of the shadow's term

    def __post_init__(self) -> None:
        if self.steps < 1 or self.step_levels < 1:
            raise CompdError(
                f"expected steps >= 1 and step_levels >= 1, got steps={self.steps}, "
                f"step_levels={self.step_levels}"
            )


def search_diva(config: Diva, task: Task) -> Search:
    """Sign steps up ``p_o[y] - c p_s[y]``; each iterate is proposed."""
    pair = task.pair
    labels = task.labels.to(pair.device)[:, None]
    everyone = torch.arange(len(task.images))
    current = task.images

    def objective(x: Tensor, rows: Tensor) -> Tensor:
        own = labels[rows]
        original = task.original(x).softmax(1).gather(1, own)
        shadow = task.shadow(x).softmax(1).gather(1, own)
        value: Tensor = (original - config.c * shadow)[:, 0]
        return value

    for _ in range(config.steps):
        sign = task.gradient(current, objective).sign().to(torch.int16)
        moved = current.to(torch.int16) + config.step_levels * sign
        current = task.clip(moved)
        yield Proposal(current, everyone)
