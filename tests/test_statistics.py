"""Intervals and the paired test against known values and their invariants."""

from __future__ import annotations

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from compd.statistics import Share, mcnemar, upper_bound


def test_the_interval_is_wilsons() -> None:
    # Wilson's formula by hand: 10 of 100, z = 1.959964
    share = Share.count_of(10, 100)
    assert (share.low, share.high) == pytest.approx((0.055229, 0.174366), abs=1e-5)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(numbers: tuple[int, int]) -> None:
    share = Share.count_of(*numbers)
    assert 0 <= share.low <= share.share + 1e-6 <= share.high + 2e-6 <= 1 + 2e-6


def test_nothing_of_nothing_says_nothing() -> None:
    share = Share.count_of(0, 0)
    assert (share.share, share.low, share.high) == (0.0, 0.0, 1.0)


def test_none_of_500_is_below_six_in_a_thousand() -> None:
    assert upper_bound(0, 500) == pytest.approx(1 - 0.05 ** (1 / 500))
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bound_is_above_the_share(numbers: tuple[int, int]) -> None:
    count, of = numbers
    bound = upper_bound(count, of)
    assert count / of <= bound <= 1
    interval = scipy.stats.binomtest(count, of).proportion_ci(0.90, method="exact")
    assert bound == pytest.approx(interval.high, rel=1e-9)


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(10, 0) == pytest.approx(2 / 2**10)


@given(st.integers(0, 200), st.integers(0, 200))
def test_mcnemar_is_symmetric(a: int, b: int) -> None:
    assert mcnemar(a, b) == pytest.approx(mcnemar(b, a))
    assert 0 <= mcnemar(a, b) <= 1
    if a + b:
        assert mcnemar(a, b) == pytest.approx(scipy.stats.binomtest(a, a + b).pvalue, rel=1e-9)
