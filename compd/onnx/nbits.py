"""Weights of few bits, packed into bytes: ``MatMulNBits``."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from compd.models.products import matmul
from compd.models.rounding import to_grid
from compd.onnx.elements import UINT8
from compd.onnx.node import Node

__all__ = ["matmul_nbits", "unpacked"]

_BYTES_ALONE = 4  # the accuracy_level that rounds activations to 8 bits, too


def unpacked(
    node: Node, packed: Tensor, scales: Tensor, zeros: Tensor | None = None, _order: Any = None
) -> Tensor:
    """The weight (K, N) that packed integers stand for.

    Args:
        node: ``MatMulNBits``; the inputs are its own, without the left side.
        packed: bytes (N, blocks, bytes of a block), the lowest bits first.
        scales: one a block, (N, blocks) in any shape.
        zeros: zero points: packed in the same way, or real numbers; None for the middle.
    """
    rows, depth, bits = node.get("N"), node.get("K"), node.get("bits", 4)
    if bits not in (2, 4, 8) or _order is not None:
        raise node.refuse(f"weights of {bits} bits, or in an order of their own,")
    size = node.get("block_size")
    blocks = math.ceil(depth / size)
    whole = _integers(packed.reshape(rows, blocks, -1), bits)[..., :size]
    if zeros is None:
        zero: Any = 2 ** (bits - 1)
    elif node.types[2] == UINT8:
        zero = _integers(zeros.reshape(rows, -1), bits)[:, :blocks, None]
    else:
        zero = zeros.reshape(rows, blocks, 1)
    weight: Tensor = (whole - zero) * scales.reshape(rows, blocks, 1)
    return weight.reshape(rows, -1)[:, :depth].t()


def matmul_nbits(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``MatMulNBits`` once its weight is unpacked, x (..., K) by (K, N).

    With the accuracy level of 8-bit activations these are rounded, block by block.
    """
    if node.get("accuracy_level", 0) == _BYTES_ALONE:
        x = _rounded(x, node.get("block_size"), node.get("K"))
    y = matmul(x, weight)
    return y if bias is None else y + bias


def _integers(data: Tensor, bits: int) -> Tensor:
    """Bytes (..., B) to integers (..., B * 8 / bits)."""
    step, left = 2**bits, data.float()
    parts: list[Tensor] = []
    for _ in range(8 // bits):
        parts.append(left % step)
        left = (left / step).floor()
    return torch.stack(parts, -1).flatten(-2)


def _rounded(x: Tensor, size: int, depth: int) -> Tensor:
    missing = -depth % size
    blocks = torch.unflatten(torch.nn.functional.pad(x, (0, missing)), -1, (-1, size))
    most = blocks.detach().abs().amax(-1, keepdim=True)
    scale = (most / 127).clamp_min(1e-30)
    whole = to_grid(blocks / scale, 0, -127, 127) * scale
    return whole.flatten(-2).narrow(-1, 0, depth)
