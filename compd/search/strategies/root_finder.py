"""Where noisy functions of one variable fall through zero: many searches side by side."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["RootFinder"]

_NARROW = 0.1  # a bracket this small says no more than one slope does: noise decides inside it


class RootFinder:
    """Looks for the ``t`` at which each function is zero.

    As long as a function has shown one sign only, secants lead on; between a positive and a
    negative value, the next try is where their line is zero (regula falsi, the Illinois way: an end
    that stays twice counts half).

    Args:
        first: (N,) where to try first.
        fall: (N,) how much each function falls per unit of ``t``, roughly.
        start: (N,) values at ``t = 0``; NaN where they are unknown.
        reach: how far the next try is from the last, at most.
    """

    def __init__(self, first: Tensor, fall: Tensor, start: Tensor, reach: float) -> None:
        self.t = first.clamp(0, reach).nan_to_num()  # (N,) where to try next
        self.best_t, self.best = torch.zeros_like(first), torch.full_like(first, float("inf"))
        # where each was tried last, and with what result
        self.crossed = torch.zeros(len(first), dtype=torch.bool)  # has been zero or less
        self._reach, self._fall = reach, fall.clone()
        self.last_t, self._last = torch.zeros_like(first), start.clone()
        self._high_t, self._high = torch.zeros_like(first), start.clone()  # the positive end
        self._low_t, self._low = torch.zeros_like(first), torch.full_like(start, float("nan"))

    def tell(self, rows: Tensor, value: Tensor) -> None:
        """Take the values (n,) of the functions ``rows`` at their ``t``; choose where to go on."""
        t = self.t[rows]
        better = value.abs() < self.best[rows]
        self.best_t[rows] = torch.where(better, t, self.best_t[rows])
        self.best[rows] = torch.where(better, value.abs(), self.best[rows])
        positive, before = value > 0, self._last[rows]
        self.crossed[rows] |= ~positive
        slope = (before - value) / (t - self.last_t[rows])
        fall = self._fall[rows]
        sane = (slope > 0.2 * fall) & (slope < 10 * fall)  # not so for NaN
        fall = torch.where(sane, slope, fall)
        again = positive == (before > 0)  # the other end has stayed
        high_t = torch.where(positive, t, self._high_t[rows])
        high = torch.where(positive, value, self._high[rows] / (1 + (again & ~positive).float()))
        low_t = torch.where(positive, self._low_t[rows], t)
        low = torch.where(positive, self._low[rows] / (1 + (again & positive).float()), value)
        width = low_t - high_t
        inside = high_t + width * (high / (high - low)).clamp(0.05, 0.95)
        outside = t + (value / fall).clamp(-self._reach, self._reach)
        bracketed = width > _NARROW  # and both ends known: otherwise inside is NaN
        self.t[rows] = torch.where(bracketed & ~inside.isnan(), inside, outside).nan_to_num()
        self._fall[rows] = fall
        self.last_t[rows], self._last[rows] = t, value
        self._high_t[rows], self._high[rows] = high_t, high
        self._low_t[rows], self._low[rows] = low_t, low
