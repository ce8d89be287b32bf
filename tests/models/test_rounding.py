"""Rounding gives what PyTorch's own operator gives, and its gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from compd.models.rounding import rounded

_TOP = 255


def _values(scale: float, seed: int) -> Tensor:
    """Halves of levels, where rounding ties, on both sides of the ends; and others."""
    draw = torch.Generator().manual_seed(seed)
    halves = torch.arange(-3 * _TOP, 3 * _TOP) * (scale / 2)
    others = torch.randn(512, generator=draw) * (scale * _TOP)
    return torch.cat([halves, others, torch.tensor([0.0, -0.0, 1e30 * scale, -1e9 * scale])])


@given(
    scale=st.floats(2.0**-20, 2.0**10, width=32),
    zero_point=st.integers(0, _TOP),
    bits=st.sampled_from([7, 8]),
    seed=st.integers(0, 999),
)
@example(scale=1.0, zero_point=0, bits=8, seed=0)
@example(scale=1.0, zero_point=255, bits=8, seed=0)
@example(scale=0.1, zero_point=64, bits=7, seed=0)
def test_as_pytorch_rounds(scale: float, zero_point: int, bits: int, seed: int) -> None:
    top = 2**bits - 1
    x = _values(scale, seed).clamp(-1e9 * scale, 1e9 * scale).requires_grad_()
    grid = (torch.tensor([scale]), torch.tensor([min(zero_point, top)], dtype=torch.int32))
    expected = torch.fake_quantize_per_tensor_affine(x, *grid, 0, top)
    got = rounded(x, *grid, 0, top)
    assert torch.equal(got, expected)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    (wanted,) = torch.autograd.grad(expected, x, grad)
    (slope,) = torch.autograd.grad(got, x, grad)
    assert torch.equal(slope, wanted)
    assert torch.equal(rounded(x, scale, min(zero_point, top), 0, top), got)


@given(
    scale=st.floats(2.0**-10, 2.0**5, width=32),
    zero_point=st.integers(0, _TOP),
    seed=st.integers(0, 999),
)
def test_a_scale_learns_as_in_pytorch(scale: float, zero_point: int, seed: int) -> None:
    # Not at ties: there PyTorch's gradient adds the zero point before it rounds, its values do not.
    draw = torch.Generator().manual_seed(seed)
    levels = torch.randint(-2 * _TOP, 2 * _TOP, (2000,), generator=draw)
    x = ((levels + 0.8 * torch.rand(2000, generator=draw) - 0.4) * scale).requires_grad_()
    step = torch.tensor([scale], requires_grad=True)
    where = torch.tensor([zero_point])
    pace = 0.01
    expected = torch._fake_quantize_learnable_per_tensor_affine(
        x, step, where.float(), 0, _TOP, pace
    )
    got = rounded(x, step, where, 0, _TOP, pace)
    assert torch.equal(got, expected)
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    wanted = torch.autograd.grad(expected, (x, step), grad)
    slopes = torch.autograd.grad(got, (x, step), grad)
    assert torch.equal(slopes[0], wanted[0])
    assert slopes[1].shape == step.shape
    largest = float((grad.abs() * _TOP).sum()) * pace  # what the sum is made of
    assert abs(float(slopes[1] - wanted[1])) <= 1e-5 * largest


@given(
    scale=st.floats(2.0**-20, 2.0**10, width=32),
    zero_point=st.integers(0, _TOP),
    top=st.sampled_from([7, 127, _TOP]),
)
def test_gradients_end_where_pytorchs_do(scale: float, zero_point: int, top: int) -> None:
    zero_point = min(zero_point, top)
    ends = torch.tensor([-0.5 - zero_point, top + 0.5 - zero_point]) * scale
    x = [ends]
    for way in (-torch.inf, torch.inf):
        near = ends
        for _ in range(4):
            near = near.nextafter(torch.tensor(way))
            x.append(near)
    given_ = torch.cat(x).requires_grad_()
    grid = (torch.tensor([scale]), torch.tensor([zero_point], dtype=torch.int32))
    slopes = [
        torch.autograd.grad(made.sum(), given_)[0]
        for made in (
            rounded(given_, *grid, 0, top),
            torch.fake_quantize_per_tensor_affine(given_, *grid, 0, top),
        )
    ]
    assert torch.equal(*slopes)
    assert set(slopes[0].tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("scale", [2.0**-70, 0.1, 2.0**70])
def test_nothing_else_changes(scale: float) -> None:
    x = (torch.randn(64, generator=torch.Generator().manual_seed(0)) * 200 * scale).requires_grad_()
    before = x.detach().clone()
    made = rounded(x, scale, 100, 0, _TOP)
    (slope,) = torch.autograd.grad(made.sum(), x)
    inside = (x.detach() / scale + 100).round().clamp(0, _TOP) == (x.detach() / scale + 100).round()
    assert torch.equal(slope, inside.float())
    with torch.inference_mode():
        assert torch.equal(rounded(before, scale, 100, 0, _TOP), made)
    assert torch.equal(x, before)
    assert not rounded(before, scale, 100, 0, _TOP).requires_grad


def test_other_types_are_left_to_pytorch() -> None:
    x = torch.randn(64, dtype=torch.float64)
    got = rounded(x, 0.1, 128, 0, _TOP)
    assert got.dtype == x.dtype
    assert torch.equal(got, torch.fake_quantize_per_tensor_affine(x, 0.1, 128, 0, _TOP))
