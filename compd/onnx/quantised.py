"""Quantisation with the file's own scales and zero points, and a gradient that passes through.

A quantised tensor is a float32 tensor of whole numbers: the integers that a runtime would hold,
zero point included. So they can be pooled, reshaped and joined like any other, and gradients pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx
from torch.overrides import handle_torch_function, has_torch_function

from compd.onnx.elements import RANGES, UINT8
from compd.onnx.node import Node

__all__ = ["dequantize", "dynamic_quantize", "quantize", "real", "to_grid", "type_range"]

# A number, or a tensor that broadcasts.
Zero = Any


def quantize(node: Node, x: Tensor, scale: Tensor, zero: Zero = 0) -> Tensor:
    """``QuantizeLinear``: per tensor, per axis or in blocks."""
    kind = node.types[2] if len(node.types) > 2 and node.types[2] else node.get("output_dtype", 0)
    return to_grid(
        x / _along(node, scale, 1), _along(node, zero, 2), *type_range(node, kind or UINT8)
    )


def dequantize(node: Node, x: Tensor, scale: Tensor, zero: Zero = 0) -> Tensor:
    """``DequantizeLinear``: the values that the integers stand for."""
    return real(x, _along(node, scale, 1), _along(node, zero, 2))


def dynamic_quantize(_node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``DynamicQuantizeLinear``: uint8 over the range of the whole batch, as the file says."""
    fixed = x.detach()
    low, high = fixed.amin().clamp(max=0), fixed.amax().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = (-low / scale).round().clamp(0, 255)
    return to_grid(x / scale, zero, 0, 255), scale, zero


def to_grid(x: Tensor, zero: Zero, low: int, high: int) -> Tensor:
    """Round to the nearest integer (half to even), saturating.

    Args:
        x: values in steps of the scale.
        zero: the zero point; a number, or a tensor that broadcasts.
        low: the least integer of the type.
        high: the greatest.

    Returns:
        whole numbers in low..high; the gradient is 1 where x lies in that range, and else 0.
    """
    if has_torch_function((x, zero)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(to_grid, (x, zero), x, zero, low, high)
        return made
    whole: Tensor = _Rounded.apply(x, zero, low, high)  # type: ignore[no-untyped-call]
    return whole


class _Rounded(torch.autograd.Function):
    """One operation in place of five, which keeps a byte a value for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, zero: Zero, low: int, high: int) -> Tensor:
        ends = low - zero, high - zero
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward((x >= ends[0]).logical_and_(x <= ends[1]))
        whole = x.clamp(*ends).round_()
        return whole if isinstance(zero, int | float) and zero == 0 else whole.add_(zero)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] * ctx.saved_tensors[0], None, None, None


def real(x: Tensor, scale: Tensor, zero: Zero) -> Tensor:
    """The values that whole numbers stand for."""
    return (x if isinstance(zero, int | float) and zero == 0 else x - zero) * scale


def type_range(node: Node, kind: int) -> tuple[int, int]:
    """Least and greatest integer of an element type."""
    if kind not in RANGES:
        raise node.refuse(f"quantisation to type {kind}")
    return RANGES[kind]


def _along(node: Node, values: Zero, at: int) -> Zero:
    """Lay scales or zero points (input ``at``) along the axis of the first input."""
    shape = node.shapes[at] if at < len(node.shapes) else ()
    if not isinstance(values, Tensor | fx.Proxy) or shape in ((), (1,)):
        return values
    axis, rank = node.get("axis", 1), len(node.shapes[0])
    axis = axis + rank if axis < 0 else axis
    if len(shape) == 1:
        return values.reshape([-1 if i == axis else 1 for i in range(rank)])
    (size,) = node.fixed((node.shapes[0][axis],))
    return values.repeat_interleave(node.get("block_size"), axis).narrow(axis, 0, size)
