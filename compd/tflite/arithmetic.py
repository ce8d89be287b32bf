"""Operators that work value by value, and those that reduce; in integers by way of real numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.tflite.grid import on_grid, real
from compd.tflite.model import Node

__all__ = [
    "binary",
    "convert",
    "gelu",
    "l2_norm",
    "leaky",
    "log_softmax",
    "prelu",
    "reduction",
    "softmax",
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
