"""Directions in the space of images."""

from __future__ import annotations

import torch

from compd.search.geometry import along, parting, steepest, unit

DRAW = torch.Generator().manual_seed(0)
A, B = torch.randn(4, 3, 5, 5, generator=DRAW), torch.randn(4, 3, 5, 5, generator=DRAW)


def test_units_have_length_one_and_nothing_stays_nothing() -> None:
    assert torch.allclose(unit(A * 1e-6).flatten(1).norm(dim=1), torch.ones(4))
    assert (unit(torch.zeros(2, 3, 5, 5)) == 0).all()


def test_a_steepest_step_moves_a_value_by_one_level_on_average() -> None:
    assert (steepest(A, "linf").abs() == 1).all()
    along_it = steepest(A, "l2")
    assert torch.allclose(along_it.flatten(1).square().mean(1), torch.ones(4))
    assert torch.allclose(unit(along_it), unit(A), atol=1e-6)


def test_neither_model_drowns_the_other_where_they_part() -> None:
    assert torch.allclose(parting(A * 1000, B), parting(A, B), atol=1e-5)
    assert torch.allclose(parting(A, B), -parting(B, A))


def test_what_is_left_of_a_direction_leaves_the_function_alone() -> None:
    left = along(A, B)
    assert (left * B).flatten(1).sum(1).abs().max() < 1e-4
    assert torch.allclose(along(A, torch.zeros_like(B)), A)
    assert along(B, B).abs().max() < 1e-5
