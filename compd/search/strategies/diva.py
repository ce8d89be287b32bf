"""DIVA (Hao et al., MLSys 2022), batched, on the lattice."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compd.errors import SettingError
from compd.search.strategies.base import Search, Task, sign_steps

__all__ = ["Diva", "search_diva"]


@dataclass(frozen=True)
class Diva:
    """Settings of DIVA; the defaults are the published ones."""

    steps: int = 20
    step_levels: int = 1  # of 255
    c: float = 1.0  # weight of the shadow's term

    def __post_init__(self) -> None:
        if self.steps < 1 or self.step_levels < 1:
            raise SettingError(
                "steps >= 1 and step_levels >= 1", steps=self.steps, step_levels=self.step_levels
            )


def search_diva(config: Diva, task: Task) -> Search:
    """Sign steps up ``p_o[y] - c p_s[y]``; each iterate is proposed."""
    labels = task.labels.to(task.pair.device)[:, None]

    def objective(x: Tensor, rows: Tensor) -> Tensor:
        own = labels[rows]
        original = task.original(x).softmax(1).gather(1, own)
        shadow = task.shadow(x).softmax(1).gather(1, own)
        value: Tensor = (original - config.c * shadow)[:, 0]
        return value

    yield from sign_steps(task, objective, config.steps, config.step_levels)
