"""How sure a count is: Wilson intervals, McNemar's exact test, Holm's correction.

By hand, and not by ``scipy.stats``: that takes half a second to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

__all__ = ["Share", "exceeded_next", "exceeds", "holm", "mcnemar", "upper_bound"]


@dataclass(frozen=True)
class Share:
    """A count of a number, with its two-sided 95 % interval (Wilson 1927)."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def count_of(cls, count: int, of: int) -> Share:
        """Build it; an empty total gives the interval that says nothing."""
        if of == 0:
            return cls(0, 0, 0.0, 1.0)
        z = NormalDist().inv_cdf(0.975)
        share, weight = count / of, z * z / of
        middle = (share + weight / 2) / (1 + weight)
        half = z / (1 + weight) * sqrt(share * (1 - share) / of + weight / (4 * of))
        low, high = (min(max(end, 0.0), 1.0) for end in (middle - half, middle + half))
        return cls(count, of, round(low, 6), round(high, 6))

    @property
    def share(self) -> float:
        """The share; 0 of an empty total."""
        return self.count / self.of if self.of else 0.0


def upper_bound(count: int, of: int) -> float:
    """One-sided 95 % bound from above on a share (Clopper and Pearson 1934): 0.6 % for 0 of 500."""
    if count == of:
        return 1.0
    from scipy.special import betaincinv

    return float(betaincinv(count + 1, of - count, 0.95))


def exceeds(count: int, of: int, share: float) -> float:
    """P-value of the exact one-sided test of a count against a share: is the rate above it?

    Args:
        count: that was seen.
        of: how many it is of.
        share: that the rate may have, 0..1.
    """
    if count == 0:
        return 1.0
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, of, share))


def exceeded_next(count: int, of: int, share: float) -> float:
    """How unlikely a count is if the same number of further images has more than a share.

    All images are exchangeable: given how many there are in both halves, those of the first are a
    hypergeometric draw (Fisher 1935).

    Args:
        count: seen among ``of`` images.
        of: at least 1.
        share: 0..1.

    Returns:
        The probability of so few, 0..1, with as few in the second half as exceed the share.
    """
    import numpy as np
    from scipy.special import gammaln

    total = count + int(share * of) + 1
    if total > 2 * of:
        return 0.0  # no second half can have as many

    def choices(n: Any, k: Any) -> Any:
        return gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)

    first = np.arange(max(0, total - of), count + 1)
    logs = choices(total, first) + choices(2 * of - total, of - first) - choices(2 * of, of)
    return float(min(1.0, np.exp(logs).sum()))


def mcnemar(only_before: int, only_after: int) -> float:
    """P-value of McNemar's exact test (1947): do two paired counts differ by more than chance?

    Args:
        only_before: pairs that hold before and not after.
        only_after: the reverse.
    """
    from scipy.special import bdtr

    least = min(only_before, only_after)
    return min(1.0, 2 * float(bdtr(least, only_before + only_after, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979), in the same order, each at most 1.

    A family of tests of which those below 5 % are called true makes a wrong call with a
    probability of 5 % at most.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, least = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, p_values[i] * (len(p_values) - rank)))
        corrected[i] = least
    return corrected
