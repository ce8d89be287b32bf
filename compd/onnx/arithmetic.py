"""Operators that compute element by element, over axes, or as matrices."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.models.products import linear, matmul
from compd.onnx.node import Node

__all__ = [
    "batch_norm",
    "clip",
    "cumulative",
    "divide",
    "einsum",
    "fold",
    "gemm",
    "global_pool",
    "group_norm",
    "layer_norm",
    "local_norm",
    "lp_norm",
    "mean",
    "modulo",
    "norm",
    "plain",
    "prelu",
    "product",
    "reduction",
    "selu",
    "softmax",
    "sum_of_squares",
]

Function = Callable[..., Tensor]


def plain(function: Function) -> Function:
    """An operator that needs nothing from its node."""
    return lambda _node, *inputs: function(*inputs)


def fold(function: Function) -> Function:
    """An operator of any number of inputs, taken two at a time."""
    return lambda _node, *inputs: reduce(function, inputs)


def mean(_node: Node, *inputs: Tensor) -> Tensor:
    """``Mean`` of several tensors."""
    total: Tensor = reduce(torch.add, inputs)
    return total / len(inputs)


def clip(
    node: Node,
    x: Tensor,
    low: Any = None,
    high: Any = None,
) -> Tensor:
    """``Clip`` with bounds as attributes (before opset 11) or as inputs."""
    low = node.get("min") if low is None else low
    high = node.get("max") if high is None else high
    if low is None and high is None:
        return x
    return torch.clamp(x, low, high)


def divide(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """``Div``; shapes are divided as the integers that they are."""
    whole = node.folded and not x.is_floating_point()
    return torch.div(x, y, rounding_mode="trunc" if whole else None)


def modulo(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """``Mod``: the remainder has the sign of the divisor, or with ``fmod`` that of x."""
    return torch.fmod(x, y) if node.get("fmod", 0) else torch.remainder(x, y)


def prelu(_node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """``PRelu``: the slope is broadcast, so it may lie along any axis."""
    return x.clamp(min=0) + slope * x.clamp(max=0)


def selu(node: Node, x: Tensor) -> Tensor:
    """``Selu`` with factors of its own."""
    alpha = node.get("alpha", 1.67326319217681884765625)
    y: Tensor = F.elu(x, alpha) * node.get("gamma", 1.05070102214813232421875)
    return y


def cumulative(node: Node, x: Tensor, axis: int | list[int]) -> Tensor:
    """``CumSum``, with or without the element itself, from either end."""
    along = axis if isinstance(axis, int) else axis[0]
    turned = bool(node.get("reverse", 0))
    y = torch.cumsum(x.flip(along) if turned else x, along)
    y = y.flip(along) if turned else y
    return y - x if node.get("exclusive", 0) else y


def einsum(node: Node, *inputs: Tensor) -> Tensor:
    """``Einsum``."""
    made: Tensor = torch.einsum(node.get("equation").replace(" ", ""), *inputs)
    return made


def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """``Gemm``: ``alpha * a @ b + beta * c``."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if node.get("transA", 0):
        a = a.t()
    if node.get("transB", 0) and alpha == beta == 1 and (c is None or len(node.shapes[2]) == 1):
        return linear(a, b, c)
    y = matmul(a, b.t() if node.get("transB", 0) else b)
    y = y if alpha == 1 else y * alpha
    if c is None:
        return y
    return y + (c if beta == 1 else c * beta)


def global_pool(function: Function) -> Function:
    """A pool over all of height and width."""
    return lambda node, x: function(x, tuple(range(2, len(node.shapes[0]))), keepdim=True)


def reduction(function: Function, alone: Function | None = None) -> Function:
    """A reduction over axes that are an attribute (older opsets) or an input.

    Args:
        function: of a tensor, axes and ``keepdim``.
        alone: what it makes of each number where nothing is reduced; None for the number.
    """

    def apply(node: Node, x: Tensor, axes: list[int] | None = None) -> Tensor:
        axes = axes or node.get("axes")
        if not axes:
            if node.get("noop_with_empty_axes", 0):
                return x if alone is None else alone(x)
            axes = list(range(len(node.shapes[0])))
        return function(x, tuple(axes), keepdim=bool(node.get("keepdims", 1)))

    return apply


def norm(order: int) -> Function:
    """The norm of a tensor over axes, without a gradient at 0."""
    return lambda x, axes, keepdim: torch.linalg.vector_norm(x, order, axes, keepdim=keepdim)


def product(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """The product over axes."""
    for axis in axes:
        x = torch.prod(x, axis, keepdim=True)
    return x if keepdim else torch.squeeze(x, axes)


def sum_of_squares(x: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """The sum of squares over axes."""
    return (x * x).sum(axes, keepdim=keepdim)


def lp_norm(node: Node, x: Tensor) -> Tensor:
    """``LpNormalization``: zeros stay zeros."""
    axis = node.get("axis", -1)
    length: Tensor = torch.linalg.vector_norm(x, node.get("p", 2), axis, keepdim=True)
    return x / length.clamp_min(1e-30)


def local_norm(node: Node, x: Tensor) -> Tensor:
    """``LRN`` across channels."""
    alpha, beta, bias = (node.get(*pair) for pair in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1)))
    return F.local_response_norm(x, node.get("size"), alpha, beta, bias)


def softmax(function: Function) -> Function:
    """``Softmax`` or ``LogSoftmax``; before opset 13 all dimensions from the axis on are one."""

    def apply(node: Node, x: Tensor) -> Tensor:
        if node.opset >= 13:
            return function(x, node.get("axis", -1))
        rank = len(node.shapes[0])
        axis = node.get("axis", 1) % rank
        if axis == rank - 1:
            return function(x, -1)
        return function(x.flatten(axis), -1).reshape(x.shape)

    return apply


def batch_norm(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, average: Tensor, variance: Tensor
) -> Tensor:
    """``BatchNormalization`` with the stored statistics."""
    if node.get("training_mode", 0):
        raise node.refuse("training_mode")
    return F.batch_norm(
        x, average, variance, scale, bias, training=False, eps=node.get("epsilon", 1e-5)
    )


def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    """``LayerNormalization`` over the axis and all after it."""
    sizes = node.fixed(node.shapes[0][node.get("axis", -1) :])
    y = F.layer_norm(x, sizes, eps=node.get("epsilon", 1e-5)) * scale
    return y if bias is None else y + bias


def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """``GroupNormalization`` with a scale a channel (opset 21), and ``InstanceNormalization``."""
    eps: Any = node.get("epsilon", 1e-5)
    if node.kind == "InstanceNormalization":
        return F.instance_norm(x, weight=scale, bias=bias, eps=eps)
    if node.opset < 21:
        raise node.refuse(f"opset {node.opset}")
    return F.group_norm(x, node.get("num_groups"), scale, bias, eps)
