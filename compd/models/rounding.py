"""Activations rounded to a grid, with a gradient: what PyTorch computes, faster on a CPU.

``torch.fake_quantize_per_tensor_affine`` (2.13) goes through a CPU tensor value by value, without
vector instructions, and took a fifth of a gradient of the shadow. The same values come from a few
elementwise operations that have them, on one new tensor. On other devices PyTorch's own kernel is
one call, and stays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.overrides import handle_torch_function, has_torch_function

from compd.models.products import linear, matmul

__all__ = ["Zero", "open_ends_", "rounded", "to_grid"]

# A number, or a tensor that broadcasts.
Zero = Any

_LAYERS: tuple[Callable[..., Any], ...] = (F.conv1d, F.conv2d, F.conv3d, linear, matmul)


def rounded(
    x: Tensor,
    scale: Tensor | float,
    zero_point: Tensor | int,
    lowest: int,
    highest: int,
    pace: float = 1.0,
) -> Tensor:
    """Round to the nearest of the values ``(lowest..highest - zero_point) * scale``.

    The gradient passes through where nothing was clipped. A scale that requires a gradient gets
    that of LSQ (Esser et al., ICLR 2020, equation 3).

    Args:
        x: float.
        scale: of one value, above 0.
        zero_point: of one value, an integer.
        lowest: least integer.
        highest: largest integer.
        pace: what the gradient of the scale is multiplied by.

    Returns:
        Of the shape of ``x``.
    """
    step = scale if isinstance(scale, Tensor) and scale.requires_grad else None  # is learnt
    if x.device.type == "cpu" and x.dtype == torch.float32:
        if torch.is_grad_enabled() and (x.requires_grad or step is not None):
            made: Tensor = _Rounded.apply(x, scale, zero_point, lowest, highest, pace)  # type: ignore[no-untyped-call]
            return made
        grid = _Grid(scale, zero_point, lowest, highest)
        return grid.values_(grid.levels(x))
    if step is not None:
        where = torch.as_tensor(zero_point, device=x.device).float()
        learnt: Tensor = torch._fake_quantize_learnable_per_tensor_affine(
            x, step, where, lowest, highest, pace
        )
        return learnt
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, lowest, highest)  # type: ignore[arg-type]


class _Grid:
    """A grid: its scale, and its integers less the zero point."""

    def __init__(self, scale: Tensor | float, zero_point: Any, lowest: int, highest: int) -> None:
        self.scale = torch.as_tensor(scale, dtype=torch.float32).detach().reshape(())
        self.inverse = 1 / self.scale  # in float32, as PyTorch does
        zero = int(zero_point)
        self.low, self.high = lowest - zero, highest - zero

    def levels(self, x: Tensor) -> Tensor:
        """The nearest integers, a new tensor; those outside of the grid as well."""
        return (x * self.inverse).round_()

    def values_(self, levels: Tensor) -> Tensor:
        """What integers stand for, in their place."""
        return levels.clamp_(self.low, self.high).mul_(self.scale)

    @property
    def edges(self) -> tuple[float, float] | None:
        """See :func:`_edges`."""
        return _edges(float(self.inverse), self.low, self.high)


@lru_cache(maxsize=4096)
def _edges(inverse: float, low: int, high: int) -> tuple[float, float] | None:
    """Between which values, both left out, ``round(x * inverse)`` is in ``low..high``, exactly.

    Returns:
        The largest float32 that is rounded to less, and the least that is rounded to more; None for
        grids so fine or so coarse that float32 has no such values.
    """
    if not 2.0**-64 < inverse < 2.0**64:
        return None
    return -_least(inverse, 1 - low), _least(inverse, high + 1)


def _least(inverse: float, level: int) -> float:
    """The least float32 that is rounded to ``level`` or more; rounding is symmetric."""
    factor, infinity = np.float32(inverse), np.float32(np.inf)
    found = np.float32((level - 0.5) / inverse)
    while np.rint(found * factor) < level:
        found = np.nextafter(found, infinity)
    while np.rint((before := np.nextafter(found, -infinity)) * factor) >= level:
        found = before
    return float(found)


class _Rounded(torch.autograd.Function):
    """What is kept for the gradient is ``x``, which often is kept in any case: a ReLU's result."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Any, zero_point: Any, *rest: Any) -> Tensor:
        lowest, highest, ctx.pace = rest
        ctx.grid = grid = _Grid(scale, zero_point, lowest, highest)
        ctx.shape = scale.shape if isinstance(scale, Tensor) else ()
        ctx.edges = None if ctx.needs_input_grad[1] else grid.edges
        levels = grid.levels(x)
        if ctx.edges is not None:
            ctx.save_for_backward(x)
            return grid.values_(levels)
        ctx.save_for_backward(x, levels)
        return grid.values_(levels.clone())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (grad,), grid = grads, ctx.grid
        # Zero outside of the open interval.
        if ctx.edges is not None:
            (x,) = ctx.saved_tensors
            through = torch.ops.aten.hardtanh_backward(grad, x, *ctx.edges)
            return through, None, None, None, None, None
        x, levels = ctx.saved_tensors
        through = torch.ops.aten.hardtanh_backward(grad, levels, grid.low - 0.5, grid.high + 0.5)
        if not ctx.needs_input_grad[1]:
            return through, None, None, None, None, None
        change = grad * levels.clamp(grid.low, grid.high)
        change.addcmul_(through, x, value=-float(grid.inverse))
        return through, (change.sum() * ctx.pace).reshape(ctx.shape), None, None, None, None


def to_grid(x: Tensor, zero: Zero, low: int, high: int, through: bool = False) -> Tensor:
    """Round to the nearest integer (half to even), saturating.

    Args:
        x: values in steps of the scale.
        zero: the zero point; a number, or a tensor that broadcasts.
        low: the least integer of the type.
        high: the greatest.
        through: whether the gradient passes where a value was cut off, too.

    Returns:
        whole numbers in low..high; the gradient is 1 where x lies in that range, and else 0.
    """
    if has_torch_function((x, zero)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(to_grid, (x, zero), x, zero, low, high, through)
        return made
    whole: Tensor = _Whole.apply(x, zero, low, high, through)  # type: ignore[no-untyped-call]
    return whole


def open_ends_(graph: fx.Graph, *more: Callable[..., Any]) -> None:
    """Let gradients through where the rounding of a model's answers cuts them off, in place.

    Two classes at the end of an int8 range are tied, and a search would have no way to go.

    Args:
        graph: of a converted file.
        more: functions that round, beside :func:`to_grid`; their last argument says whether the
            gradient passes, too.
    """
    found = [node for node in graph.nodes if node.op == "output"]
    seen = set(found)
    while found:
        for node in found.pop().all_input_nodes:
            if node.target in (to_grid, *more):
                node.args = (*node.args[:-1], True)
            elif node not in seen and node.target not in _LAYERS:
                seen.add(node)
                found.append(node)


class _Whole(torch.autograd.Function):
    """One operation in place of five, which keeps a byte a value for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, zero: Zero, low: int, high: int, through: bool) -> Tensor:
        ends = low - zero, high - zero
        if ctx.needs_input_grad[0] and not through:
            ctx.save_for_backward((x >= ends[0]).logical_and_(x <= ends[1]))
        whole = x.clamp(*ends).round_()
        return whole if isinstance(zero, int | float) and zero == 0 else whole.add_(zero)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        inside = ctx.saved_tensors
        return (grads[0] * inside[0] if inside else grads[0]), None, None, None, None
