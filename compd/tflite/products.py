"""Operators that add up products: in integers, on floats, and in between."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from compd.models.products import linear, matmul
from compd.tflite.grid import activated, on_grid, placed, real, requantised
from compd.tflite.model import Node, Value

__all__ = ["batch_matmul", "dynamic", "fully_connected", "products"]

# Sums of whole numbers that float32 may not hold: they are then added up in float64.
_EXACT = 2**24

Sums = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def products(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None, sums: Sums, at: int = 0
) -> Tensor:
    """A layer with constant weights.

    Args:
        node: whose input 1 is the weights.
        x: the image, as it is held.
        weight: as it is held.
        bias: as it is held: of scale ``x * weight`` in integers.
        sums: adds up the products; channels last.
        at: which input the image is.
    """
    image, own = node.value(at), node.value(1)
    if node.out.quantised and image.quantised and own.quantised:
        weight = weight - _spread(own, weight) if own.zeros.any() else weight
        x = x - image.zero if image.zero else x
        wide = _widest(own) * max(abs(end - image.zero) for end in image.range) >= _EXACT
        if node.doubling and wide:
            x, weight = x.double(), weight.double()
            bias = None if bias is None else bias.double()
        factors = image.scale * own.scales / node.out.scale
        return requantised(node, sums(x, weight, bias), factors)
    if node.out.quantised or image.quantised:
        raise node.refuse(f"weights of type {own.type} for an image of type {image.type}")
    weight = real(own, weight)
    if own.quantised:
        x = dynamic(x)
    return activated(node, sums(x, weight, None if bias is None else real(node.value(2), bias)))


def fully_connected(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``FULLY_CONNECTED``: weights (L, K); the last axes of x are one of K, or all become rows."""
    shape = node.value(1).shape
    if len(shape) != 2 or not shape[1] or node.value(1).numbers is None:
        raise node.refuse(f"weights of shape {shape} that are constant or not")

    def sums(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not (node.get("keepNumDims", False) or node.shapes[0][-1:] == (shape[1],)):
            x = x.reshape(-1, shape[1])
        y = linear(x, weight, bias)
        return y if len(node.out.shape) != 2 else y.reshape(-1, shape[0])

    return products(node, x, weight, bias, sums)


def batch_matmul(node: Node, x: Tensor, y: Tensor) -> Tensor:
    """``BATCH_MATMUL`` of two tensors, either of which may be turned."""
    left, right = real(node.value(0), x), real(node.value(1), y)
    left = left.transpose(-1, -2) if node.get("adjX") else left
    right = right.transpose(-1, -2) if node.get("adjY") else right
    return on_grid(node, matmul(left, right))


def dynamic(x: Tensor) -> Tensor:
    """Floats (N, …) rounded to 8 bits over the range of each image, as hybrid kernels do.

    The gradient passes through.
    """
    if has_torch_function((x,)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(dynamic, (x,), x)
        return made
    if x.is_meta:
        return torch.empty_like(x)
    fixed = x.detach().flatten(1)
    shape = (-1, *[1] * (x.dim() - 1))
    low = fixed.amin(1).clamp(max=0).reshape(shape)
    high = fixed.amax(1).clamp(min=0).reshape(shape)
    scale = ((high - low) / 255).clamp(min=1e-12)
    zero = (-128 - low / scale).round().clamp(-128, 127)
    levels = (x.detach() / scale + zero).round().clamp(-128, 127)
    return x + ((levels - zero) * scale - x.detach())


def _spread(value: Value, like: Tensor) -> Tensor:
    shape = [-1 if i == value.axis else 1 for i in range(len(value.shape))]
    return placed(value.zeros.reshape(shape if len(value.zeros) > 1 else ()), like)


def _widest(weights: Value) -> int:
    """The largest sum of a channel's weights, without signs."""
    numbers = weights.numbers
    assert numbers is not None  # of a layer
    axis = weights.axis if len(weights.scales) > 1 else 0
    rows = np.moveaxis(numbers.astype(np.int64), axis, 0)
    rows = rows - weights.zeros.reshape(-1, *[1] * (rows.ndim - 1))
    each = np.abs(rows).reshape(len(rows), -1)
    return int(each.sum(1).max()) if each.size else 0
