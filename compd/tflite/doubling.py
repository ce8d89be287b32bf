"""Products and shifts of integers as kernels without floats do them: each rounded on its own.

Jacob et al. 2018, section 2.4, and gemmlowp's ``fixedpoint``: a doubling high product, then a
rounding shift, so that a result can be one off what a single rounding gives.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

__all__ = ["Factor", "added", "doubled", "mean_factor", "multiplier_of"]

_BITS = 31  # of a multiplier
_LEFT = 20  # bits by which kernels lift what they add up

Factor = tuple[int, int]  # a multiplier of 31 bits, and an exponent: m * 2 ** (e - 31)


def doubled(
    sums: Tensor,
    multipliers: tuple[Factor, ...],
    zero: int,
    low: int,
    high: int,
    through: bool = False,
) -> Tensor:
    """As kernels without floats do it: a doubling high product, then a rounding shift.

    Jacob et al. 2018, section 2.4, and gemmlowp's ``fixedpoint``: both steps round to nearest, so
    that a result can be one off what a single rounding gives.

    Args:
        sums: whole numbers, channels last.
        multipliers: (of 31 bits, exponent) for each channel, or one for all.
        zero: of the result.
        low: least integer of the result.
        high: greatest.
        through: whether the gradient passes where a result was cut off, too.

    Returns:
        whole numbers in low..high; the gradient is that of the product, and 0 where it was cut off.
    """
    if has_torch_function((sums,)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(
            doubled, (sums,), sums, multipliers, zero, low, high, through
        )
        return made
    whole: Tensor = _Doubled.apply(sums, multipliers, zero, low, high, through)  # type: ignore[no-untyped-call]
    return whole


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, sums: Tensor, multipliers: Any, zero: int, low: int, high: int, through: bool
    ) -> Tensor:
        if sums.is_meta:
            return torch.empty_like(sums, dtype=torch.float32)
        table = torch.tensor(multipliers, dtype=torch.int64, device=sums.device)
        factor, left, right = table[:, 0], table[:, 1].clamp(min=0), (-table[:, 1]).clamp(min=0)
        shifted = _times(sums.round().to(torch.int64), factor, left, right) + zero
        if ctx.needs_input_grad[0]:
            ctx.factors = (factor.double() * 2.0 ** (left - right - _BITS)).float()
            ctx.dtype = sums.dtype
            ctx.save_for_backward(None if through else (shifted >= low) & (shifted <= high))
        return shifted.clamp(low, high).float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (inside,) = ctx.saved_tensors
        grad = (grads[0] if inside is None else grads[0] * inside) * ctx.factors
        return grad.to(ctx.dtype), None, None, None, None, None


def multiplier_of(factor: float) -> tuple[int, int]:
    """A factor as an integer of 31 bits and an exponent: ``m * 2 ** (e - 31)``."""
    if factor == 0:
        return 0, 0
    mantissa, exponent = math.frexp(factor)
    whole = math.floor(mantissa * 2**_BITS + 0.5)
    if whole == 2**_BITS:
        whole, exponent = whole // 2, exponent + 1
    return (0, 0) if exponent < -_BITS else (whole, exponent)


def mean_factor(factor: float, count: int) -> Factor:
    """A factor over a number of values, as the kernel for averages takes it together."""
    whole, exponent = multiplier_of(factor)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return (whole << shift) // count, exponent - shift


def added(
    x: Tensor,
    y: Tensor,
    scales: tuple[float, float, float],
    zeros: tuple[int, int, int],
    low: int,
    high: int,
    sign: int = 1,
) -> Tensor:
    """``x + y``, or ``x - y``, of two tensors of integers, in those of a third.

    Args:
        x: whole numbers.
        y: of a shape that broadcasts.
        scales: of both, and of the result.
        zeros: the zero points.
        low: least integer of the result.
        high: greatest.
        sign: -1 for a difference.

    Returns:
        whole numbers in low..high; the gradient is that of the real sum, and 0 where it was cut
        off.
    """
    if has_torch_function((x, y)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(added, (x, y), x, y, scales, zeros, low, high, sign)
        return made
    whole: Tensor = _Added.apply(x, y, scales, zeros, low, high, sign)  # type: ignore[no-untyped-call]
    return whole


class _Added(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, scales: Any, zeros: Any, low: int, high: int, sign: int
    ) -> Tensor:
        if x.is_meta or y.is_meta:
            return x.detach() + y.detach()
        widest = 2 * max(scales[:2])
        lifted = []
        for one, scale, zero in zip((x, y), scales, zeros, strict=False):
            whole = (one.round().to(torch.int64) - zero) << _LEFT
            lifted.append(_scaled(whole, multiplier_of(scale / widest)))
        total = lifted[0] + sign * lifted[1]
        out = _scaled(total, multiplier_of(widest / ((1 << _LEFT) * scales[2]))) + zeros[2]
        ctx.slopes = scales[0] / scales[2], sign * scales[1] / scales[2]
        ctx.shapes = x.shape, y.shape
        ctx.save_for_backward((out >= low) & (out <= high))
        made: Tensor = out.clamp(low, high).to(x.dtype)
        return made

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        grad = grads[0] * ctx.saved_tensors[0]
        parts = [
            (grad * slope).sum_to_size(shape)
            for slope, shape in zip(ctx.slopes, ctx.shapes, strict=True)
        ]
        return *parts, None, None, None, None, None


def _scaled(whole: Tensor, factor: Factor) -> Tensor:
    table = torch.tensor([factor], dtype=torch.int64)
    return _times(whole, table[:, 0], table[:, 1].clamp(min=0), (-table[:, 1]).clamp(min=0))


def _times(whole: Tensor, factor: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """int64 times a multiplier and a power of two, rounded twice; the halves go away from 0."""
    product = (whole << left) * factor
    nudge = torch.where(product >= 0, 1 << (_BITS - 1), 1 - (1 << (_BITS - 1)))
    halved = torch.div(product + nudge, 1 << _BITS, rounding_mode="trunc")
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (halved < 0).long()
    return (halved >> right) + ((halved & mask) > threshold).long()
