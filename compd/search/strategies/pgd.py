"""Plain PGD (Madry et al., ICLR 2018) on the shadow: what an attack on the deployed model finds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compd.errors import SettingError
from compd.logits import logit_margins
from compd.search.strategies.base import Search, Task, sign_steps

__all__ = ["Pgd", "search_pgd"]


@dataclass(frozen=True)
class Pgd:
    """Settings of PGD on the shadow."""

    steps: int = 20
    step_levels: int = 1  # of 255

    def __post_init__(self) -> None:
        if self.steps < 1 or self.step_levels < 1:
            raise SettingError(
                "steps >= 1 and step_levels >= 1", steps=self.steps, step_levels=self.step_levels
            )


def search_pgd(config: Pgd, task: Task) -> Search:
    """Sign steps down the logit margin of the seed's label in the shadow; all are proposed."""
    labels = task.labels.to(task.pair.device)

    def objective(x: Tensor, rows: Tensor) -> Tensor:
        return -logit_margins(task.shadow(x), labels[rows], task.target)

    yield from sign_steps(task, objective, config.steps, config.step_levels)
