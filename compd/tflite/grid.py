"""The integers of quantised tensors: what they stand for, and how results are rounded to them.

A quantised tensor is a float32 tensor of whole numbers: the integers that a runtime would hold,
zero point included. So they can be pooled, reshaped and joined like any other, and gradients pass.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.models.rounding import to_grid
from compd.tflite.doubling import doubled, multiplier_of
from compd.tflite.model import Node, Value

__all__ = ["activated", "bounds", "on_grid", "placed", "real", "requantised", "said_in"]

_NONE, _RELU, _RELU_N1, _RELU6, _TANH = 0, 1, 2, 3, 4
_ENDS = {
    _NONE: (-math.inf, math.inf),
    _RELU: (0.0, math.inf),
    _RELU_N1: (-1.0, 1.0),
    _RELU6: (0.0, 6.0),
}


def placed(numbers: NDArray[Any] | float, like: Tensor) -> Tensor:
    """Constants as float32, where a tensor is: on the meta device, too."""
    made: Tensor = torch.as_tensor(np.asarray(numbers, np.float32))
    return made.to("meta") if isinstance(like, Tensor) and like.is_meta else made


def real(value: Value, x: Tensor) -> Tensor:
    """What a tensor stands for; one of floats for itself."""
    if not value.quantised:
        return x
    scale, zero = _along(value, x, value.scales), _along(value, x, value.zeros)
    made: Tensor = (x if not value.zeros.any() else x - zero) * scale
    return made


def on_grid(node: Node, y: Tensor, at: int = 0) -> Tensor:
    """A result, rounded to the integers of its tensor, after the activation that goes with it."""
    out = node.outputs[at]
    if not out.quantised:
        return activated(node, y)
    return to_grid(y / out.scale, out.zero, *bounds(node, at))


def activated(node: Node, y: Tensor) -> Tensor:
    """A real result after the activation that is fused with its operator."""
    kind = _activation(node)
    if kind == _TANH:
        return torch.tanh(y)
    low, high = _ENDS[kind]
    if kind == _RELU:
        return torch.relu(y)
    return y if kind == _NONE else y.clamp(low, high)


def bounds(node: Node, at: int = 0) -> tuple[int, int]:
    """The integers that are left of a tensor's range by the activation fused with its operator."""
    out, (low, high) = node.outputs[at], node.outputs[at].range
    kind = _activation(node)
    if kind == _TANH:
        raise node.refuse("a fused tanh on integers")
    least, most = (
        end if math.isinf(end) else out.zero + round(end / out.scale) for end in _ENDS[kind]
    )
    return int(max(low, min(high, least))), int(min(high, max(low, most)))


def said_in(node: Node, at: int, x: Tensor, out: Value) -> Tensor:
    """An input in the integers of a result: the same ones if both have the same scale."""
    value = node.value(at)
    if not out.quantised or not value.quantised:
        return x
    if value.scale == out.scale and value.zero == out.zero:
        return x
    return to_grid(real(value, x) / out.scale, out.zero, *out.range)


def requantised(node: Node, sums: Tensor, factors: NDArray[np.float64]) -> Tensor:
    """Sums of products in integers, times a factor for each channel (the last axis), rounded."""
    out = node.out
    low, high = bounds(node)
    if not node.doubling:
        return to_grid(sums * placed(factors, sums), out.zero, low, high)
    parts = [multiplier_of(float(factor)) for factor in factors]
    return doubled(sums, tuple(parts), out.zero, low, high)


def _activation(node: Node) -> int:
    kind = node.get("fusedActivationFunction", _NONE)
    if kind not in (*_ENDS, _TANH):
        raise node.refuse(f"fused activation {kind}")
    return int(kind)


def _along(value: Value, x: Tensor, numbers: NDArray[Any]) -> Any:
    """Scales or zero points as they meet a tensor: one number, or along an axis."""
    if len(numbers) == 1:
        return float(numbers[0])
    shape = [-1 if i == value.axis else 1 for i in range(len(value.shape))]
    return placed(numbers.reshape(shape), x)
