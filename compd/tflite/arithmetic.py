"""Operators that work value by value, and those that reduce; in integers by way of real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.tflite.doubling import added, doubled, mean_factor, multiplier_of
from compd.tflite.grid import bounds, on_grid, real
from compd.tflite.model import Node

__all__ = [
    "binary",
    "convert",
    "gelu",
    "l2_norm",
    "leaky",
    "log_softmax",
    "mean",
    "prelu",
    "product",
    "reduction",
    "softmax",
    "sum_of",
    "total",
    "unary",
]


def unary(function: Callable[[Tensor], Tensor]) -> Callable[[Node, Tensor], Tensor]:
    """An operator of one tensor."""

    def run(node: Node, x: Tensor) -> Tensor:
        return on_grid(node, function(real(node.value(0), x)))

    return run


def binary(function: Callable[[Tensor, Tensor], Any]) -> Callable[[Node, Tensor, Tensor], Tensor]:
    """An operator of two tensors that broadcast."""

    def run(node: Node, x: Tensor, y: Tensor) -> Tensor:
        made: Tensor = function(real(node.value(0), x), real(node.value(1), y))
        return on_grid(node, made)

    return run


def sum_of(sign: int) -> Callable[[Node, Tensor, Tensor], Tensor]:
    """``ADD``, and with a sign of -1 ``SUB``."""

    def run(node: Node, x: Tensor, y: Tensor) -> Tensor:
        first, second, out = node.value(0), node.value(1), node.out
        if node.doubling and first.quantised and second.quantised and out.type == "int8":
            values = (first, second, out)
            scales, zeros = (tuple(getattr(v, n) for v in values) for n in ("scale", "zero"))
            return added(x, y, scales, zeros, *bounds(node), sign)
        return on_grid(node, real(first, x) + sign * real(second, y))

    return run


def product(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """``MUL``."""
    first, second, out = node.value(0), node.value(1), node.out
    if node.doubling and first.quantised and second.quantised and out.type == "int8":
        factor = multiplier_of(first.scale * second.scale / out.scale)
        return doubled((x - first.zero) * (y - second.zero), (factor,), out.zero, *bounds(node))
    return on_grid(node, real(first, x) * real(second, y))


def mean(node: Node, x: Tensor, axes: Tensor) -> Tensor:
    """``MEAN``; in integers a sum, times one factor."""
    value, out = node.value(0), node.out
    names = sorted({int(axis) % max(1, len(node.shapes[0])) for axis in node.numbers(1)})
    if not (node.doubling and value.quantised and out.type == "int8" and names):
        made: Tensor = reduction(torch.mean)(node, x, axes)
        return made
    count = math.prod(node.sizes(0, names))
    total = torch.sum(x - value.zero, names, keepdim=bool(node.get("keepDims")))
    factor = mean_factor(value.scale / out.scale, count)
    return doubled(total, (factor,), out.zero, *bounds(node))


def reduction(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator that reduces some axes, which a constant names."""

    def run(node: Node, x: Tensor, _axes: Tensor) -> Tensor:
        rank = len(node.shapes[0])
        axes = sorted({int(axis) % rank for axis in node.numbers(1)}) if rank else []
        if node.batch_axis() in axes:
            raise node.refuse("a reduction over the images of a batch")
        y = real(node.value(0), x)
        return on_grid(node, function(y, axes, keepdim=bool(node.get("keepDims"))) if axes else y)

    return run


def total(node: Node, x: Tensor, axes: Tensor) -> Tensor:
    """``SUM`` of floats: LiteRT's kernel for int8 (2.3) is off by far where a sum is below 0."""
    if node.value(0).quantised:
        raise node.refuse("a sum of integers")
    made: Tensor = reduction(torch.sum)(node, x, axes)
    return made


def convert(node: Node, x: Tensor) -> Tensor:
    """``QUANTIZE`` and ``DEQUANTIZE``: from a grid, to a grid, or from one to another."""
    return on_grid(node, real(node.value(0), x))


def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """``PRELU`` with slopes that broadcast."""
    y, factor = real(node.value(0), x), real(node.value(1), slope)
    return on_grid(node, torch.relu(y) - factor * torch.relu(-y))


def leaky(node: Node, x: Tensor) -> Tensor:
    """``LEAKY_RELU``."""
    return on_grid(node, F.leaky_relu(real(node.value(0), x), float(node.get("alpha", 0.0))))


def gelu(node: Node, x: Tensor) -> Tensor:
    """``GELU``, by the error function or by tanh."""
    way = "tanh" if node.get("approximate") else "none"
    return on_grid(node, F.gelu(real(node.value(0), x), approximate=way))


def softmax(node: Node, x: Tensor) -> Tensor:
    """``SOFTMAX`` over the last axis."""
    return on_grid(node, F.softmax(real(node.value(0), x) * float(node.get("beta", 1.0)), -1))


def log_softmax(node: Node, x: Tensor) -> Tensor:
    """``LOG_SOFTMAX`` over the last axis."""
    return on_grid(node, F.log_softmax(real(node.value(0), x), -1))


def l2_norm(node: Node, x: Tensor) -> Tensor:
    """``L2_NORMALIZATION`` along the last axis."""
    return on_grid(node, F.normalize(real(node.value(0), x), dim=-1, eps=1e-6))
