"""Quantisation with the file's own scales and zero points, and a gradient that passes through.

A quantised tensor is a float32 tensor of whole numbers: the integers that a runtime would hold,
zero point included. So they can be pooled, reshaped and joined like any other, and gradients pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, fx

from compd.models.rounding import Zero, to_grid
from compd.onnx.elements import RANGES, UINT8
from compd.onnx.node import Node

__all__ = ["dequantize", "dynamic_quantize", "fake_quantize", "quantize", "real", "type_range"]


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


def fake_quantize(
    node: Node, x: Tensor, low: Zero, high: Zero, out_low: Zero, out_high: Zero
) -> Tensor:
    """OpenVINO's ``FakeQuantize``: levels of one range, told as those of another."""
    last = node.get("levels") - 1
    steps = to_grid((x - low) * (last / (high - low)), 0, 0, last)
    made: Tensor = steps * ((out_high - out_low) / last) + out_low
    return made


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
