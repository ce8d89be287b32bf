"""Operators that take integers and give integers: ONNX's QLinear kind and ONNX Runtime's own.

Each computes on whole numbers as long as it can, then multiplies once and rounds: what an int8
kernel does. Input positions are those of the operators' specifications.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.models.products import matmul
from compd.models.rounding import Zero, to_grid
from compd.onnx.elements import UINT8
from compd.onnx.node import Node
from compd.onnx.quantised import dynamic_quantize, real, type_range
from compd.onnx.window import average_pool, convolve

__all__ = [
    "conv_integer",
    "dynamic_matmul",
    "matmul_integer",
    "matmul_to_float",
    "qgemm",
    "qlinear_average_pool",
    "qlinear_binary",
    "qlinear_concat",
    "qlinear_conv",
    "qlinear_global_average_pool",
    "qlinear_matmul",
    "qlinear_softmax",
    "qlinear_unary",
]


def conv_integer(node: Node, x: Tensor, w: Tensor, x_zero: Zero = 0, w_zero: Zero = 0) -> Tensor:
    """``ConvInteger``: the accumulators."""
    if len(node.shapes) > 3 and node.shapes[3] not in ((), (1,)):
        w_zero = _along(node, w_zero, 3, len(node.shapes[1]), 0)
    return convolve(node, x - x_zero, w - w_zero, None, weight_at=1)


def matmul_integer(_node: Node, a: Tensor, b: Tensor, a_zero: Zero = 0, b_zero: Zero = 0) -> Tensor:
    """``MatMulInteger``: the accumulators."""
    return matmul(a - a_zero, b - b_zero)


def dynamic_matmul(
    node: Node,
    a: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Zero = 0,
    bias: Tensor | None = None,
) -> Tensor:
    """``DynamicQuantizeMatMul``: the left side is quantised over the range of the whole batch."""
    whole, scale, zero = dynamic_quantize(node, a)
    return matmul_to_float(node, whole, b, scale, b_scale, zero, b_zero, bias)


def matmul_to_float(
    _node: Node,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Zero = 0,
    b_zero: Zero = 0,
    bias: Tensor | None = None,
) -> Tensor:
    """``MatMulIntegerToFloat``: what the accumulators stand for."""
    a_zero, b_zero = (0 if zero is None else zero for zero in (a_zero, b_zero))
    y = matmul(a - a_zero, b - b_zero) * (a_scale * b_scale)
    return y if bias is None else y + bias


def qlinear_conv(
    node: Node,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Zero,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Zero,
    y_scale: Tensor,
    y_zero: Zero,
    bias: Tensor | None = None,
) -> Tensor:
    """``QLinearConv``, with one scale for the weights or one a channel."""
    rank = len(node.shapes[0])
    w = w - _along(node, w_zero, 5, rank, 0)
    total = convolve(node, x - x_zero, w, bias, weight_at=3)
    step = x_scale * _along(node, w_scale, 4, rank, 1) / y_scale
    return to_grid(total * step, y_zero, *_range(node, 7))


def qlinear_matmul(
    node: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Zero,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Zero,
    y_scale: Tensor,
    y_zero: Zero,
) -> Tensor:
    """``QLinearMatMul``; the right side may have a scale a column."""
    total = matmul(a - a_zero, b - b_zero)
    return to_grid(total * (a_scale * b_scale / y_scale), y_zero, *_range(node, 7))


def qgemm(
    node: Node,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Zero,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Zero,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Zero = 0,
) -> Tensor:
    """``QGemm``: integers if there is a scale for the result, else what they stand for."""
    a = a - a_zero
    turned = bool(node.get("transB", 0))
    b = b - _along(node, b_zero, 5, 2, 0 if turned else 1)
    total = matmul(a.t() if node.get("transA", 0) else a, b.t() if turned else b)
    total = total if c is None else total + c
    step: Tensor = a_scale * b_scale * node.get("alpha", 1.0)
    if y_scale is None:
        return total * step
    return to_grid(total * (step / y_scale), y_zero, *_range(node, 8))


def qlinear_binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An operator on two quantised tensors."""

    def apply(
        node: Node,
        a: Tensor,
        a_scale: Tensor,
        a_zero: Zero,
        b: Tensor,
        b_scale: Tensor,
        b_zero: Zero,
        y_scale: Tensor,
        y_zero: Zero = 0,
    ) -> Tensor:
        y = function(real(a, a_scale, a_zero), real(b, b_scale, b_zero))
        return to_grid(y / y_scale, y_zero, *_range(node, 7))

    return apply


def qlinear_unary(function: Callable[[Node, Tensor], Tensor]) -> Callable[..., Tensor]:
    """An operator on one quantised tensor."""

    def apply(
        node: Node, x: Tensor, x_scale: Tensor, x_zero: Zero, y_scale: Tensor, y_zero: Zero = 0
    ) -> Tensor:
        y = function(node, real(x, x_scale, x_zero))
        return to_grid(y / y_scale, y_zero, *_range(node, 4))

    return apply


def qlinear_average_pool(node: Node, x: Tensor) -> Tensor:
    """The pool of ``QLinearAveragePool``."""
    if node.get("channels_last", 0):
        raise node.refuse("channels_last")
    return average_pool(node, x)


def qlinear_global_average_pool(node: Node, x: Tensor) -> Tensor:
    """The pool of ``QLinearGlobalAveragePool``."""
    rank = len(node.shapes[0])
    first = 1 if node.get("channels_last", 0) else 2
    return x.mean(tuple(range(first, first + rank - 2)), keepdim=True)


def qlinear_softmax(node: Node, x: Tensor) -> Tensor:
    """The softmax of ``QLinearSoftmax``, whose meaning follows an opset that it names."""
    rank = len(node.shapes[0])
    axis = node.get("axis", -1) % rank
    if node.get("opset", 13) >= 13 or axis == rank - 1:
        return F.softmax(x, axis)
    return F.softmax(x.flatten(axis), -1).reshape(x.shape)


def qlinear_concat(node: Node, y_scale: Tensor, y_zero: Zero, *inputs: Tensor) -> Tensor:
    """``QLinearConcat``: inputs come in threes of integers, scale and zero point."""
    parts = [real(*inputs[i : i + 3]) for i in range(0, len(inputs), 3)]
    return to_grid(torch.cat(parts, node.get("axis")) / y_scale, y_zero, *_range(node, 1))


def _range(node: Node, at: int) -> tuple[int, int]:
    kind = node.types[at] if at < len(node.types) else 0
    return type_range(node, kind or UINT8)


def _along(node: Node, values: Any, at: int, rank: int, axis: int) -> Any:
    """Lay input ``at`` along one axis of a tensor, if it has a value a channel."""
    if isinstance(values, int | float) or node.shapes[at] in ((), (1,)):
        return values
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])
