"""Roots of noisy functions, many side by side."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compd.search.strategies.root_finder import RootFinder

REACH = 100.0


@given(st.lists(st.tuples(st.floats(1, 90), st.floats(0.1, 5)), min_size=1, max_size=6))
def test_lines_are_solved_at_the_second_try(lines: list[tuple[float, float]]) -> None:
    root, fall = torch.tensor(lines).double().T
    finder = RootFinder(root * 0.5, fall, fall * root, REACH)  # falls to 0 at its root
    rows = torch.arange(len(root))
    for _ in range(2):
        finder.tell(rows, fall * (root - finder.t))
    assert torch.allclose(finder.best_t, root, rtol=1e-6)
    assert (finder.best < 1e-6 * fall * root + 1e-9).all()


@pytest.mark.parametrize("power", [0.5, 2.0, 3.0])
def test_bent_functions_are_bracketed_and_solved(power: float) -> None:
    root = torch.tensor([3.0, 20.0, 60.0]).double()
    start = root**power

    def value(t: torch.Tensor) -> torch.Tensor:
        return start - t.clamp_min(0) ** power

    finder = RootFinder(root * 1.7, start / root, start, REACH)
    for _ in range(25):
        finder.tell(torch.arange(3), value(finder.t))
    assert finder.crossed.all()
    assert ((finder.best_t - root).abs() < 0.15).all()


def test_rows_are_told_apart() -> None:
    finder = RootFinder(
        torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]), REACH
    )
    finder.tell(torch.tensor([1]), torch.tensor([1.0]))
    assert finder.t.tolist() == [1.0, 2.0]
    assert finder.best.tolist() == [float("inf"), 1.0]


def test_an_unknown_start_and_a_value_that_is_none_move_nothing_out_of_reach() -> None:
    nan = torch.tensor([float("nan")])
    finder = RootFinder(torch.tensor([4.0]), torch.tensor([1.0]), nan, REACH)
    finder.tell(torch.tensor([0]), torch.tensor([2.0]))
    assert finder.t.tolist() == [6.0]
    finder.tell(torch.tensor([0]), nan)
    assert torch.isfinite(finder.t).all()
    assert finder.best.tolist() == [2.0]


def test_a_step_is_no_longer_than_the_reach() -> None:
    finder = RootFinder(torch.tensor([5.0]), torch.tensor([1e-9]), torch.tensor([1.0]), 10.0)
    finder.tell(torch.tensor([0]), torch.tensor([1.0]))
    assert finder.t.tolist() == [15.0]
