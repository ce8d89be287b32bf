"""How often each shift parts the two models: does it matter?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.search.judge import Judgement
from compd.statistics import Share

__all__ = ["ShiftRate", "ShiftRates"]


@dataclass(frozen=True)
class ShiftRate:
    """What one shift did to the seeds of a campaign."""

    shift: str  # "fog:3"
    seeds: int  # that were shifted so
    kept: int  # of these: the original keeps its label
    left: int  # of these in turn: the deployed model leaves it
    low: float  # 95 % interval of left among kept (Wilson), 0..1
    high: float


class ShiftRates:
    """Counts shift by shift, in the order in which they are tried."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def add(self, shifts: Sequence[str], judgement: Judgement) -> None:
        """Count candidates.

        Args:
            shifts: what was done to each of the N candidates.
            judgement: of them.
        """
        for name in dict.fromkeys(shifts):
            mine = torch.tensor([one == name for one in shifts])
            counts = self._counts.setdefault(name, [0, 0, 0])
            for i, where in enumerate((mine, mine & judgement.kept, mine & judgement.effective)):
                counts[i] += _count(where)

    def rates(self) -> tuple[ShiftRate, ...]:
        """All that was tried."""
        found = []
        for name, (seeds, kept, left) in self._counts.items():
            share = Share.count_of(left, kept)
            found.append(ShiftRate(name, seeds, kept, left, share.low, share.high))
        return tuple(found)


def _count(where: Tensor) -> int:
    return int(where.sum())
