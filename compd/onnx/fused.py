"""Operators that ONNX Runtime's optimisers fuse, and write into files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.models.products import matmul
from compd.onnx.arithmetic import gemm
from compd.onnx.node import Node
from compd.onnx.window import conv

__all__ = [
    "bias_gelu",
    "fast_gelu",
    "fused_conv",
    "fused_gemm",
    "fused_matmul",
    "quick_gelu",
    "rms_norm",
    "skip_layer_norm",
    "skip_rms_norm",
]


_PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda y: y,
    "Relu": F.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
}


def bias_gelu(_node: Node, x: Tensor, bias: Tensor) -> Tensor:
    """``BiasGelu``."""
    return F.gelu(x + bias)


def fast_gelu(_node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """``FastGelu``: by a tanh."""
    return F.gelu(x if bias is None else x + bias, approximate="tanh")


def quick_gelu(node: Node, x: Tensor) -> Tensor:
    """``QuickGelu``, and ``Swish`` of opset 24: ``x * sigmoid(alpha * x)``."""
    alpha = node.get("alpha", 1.702 if node.kind.endswith("Gelu") else 1.0)
    return x * torch.sigmoid(x * alpha)


def fused_conv(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, added: Tensor | None = None
) -> Tensor:
    """``FusedConv``: a convolution, a sum, an activation."""
    y = conv(node, x, weight, bias)
    y = y if added is None else y + added
    return _activated(node, y, node.get("activation_params") or ())


def fused_gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """``FusedGemm``: ``Gemm`` and an activation."""
    given = (node.get(f"activation_{name}") for name in ("alpha", "beta", "gamma"))
    return _activated(node, gemm(node, a, b, c), [one for one in given if one is not None])


def fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """``FusedMatMul``: sides may be turned, and the product is scaled."""
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        raise node.refuse("a batch that is turned")
    a = a.transpose(-1, -2) if node.get("transA", 0) and len(node.shapes[0]) > 1 else a
    b = b.transpose(-1, -2) if node.get("transB", 0) and len(node.shapes[1]) > 1 else b
    alpha = node.get("alpha", 1.0)
    return matmul(a, b) if alpha == 1 else matmul(a, b) * alpha


def rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """``RMSNormalization`` and ``SimplifiedLayerNormalization`` over the axis and all after it."""
    axis = node.get("axis", -1) % len(node.shapes[0])
    axes = tuple(range(axis, len(node.shapes[0])))
    return x * torch.rsqrt((x * x).mean(axes, keepdim=True) + node.get("epsilon", 1e-5)) * scale


def skip_layer_norm(
    node: Node,
    x: Tensor,
    skip: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    bias: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """``SkipLayerNormalization``: a sum and its norm; gives the sum as its fourth result."""
    total = _sum(x, skip, bias)
    y = F.layer_norm(total, node.fixed(node.shapes[0][-1:]), eps=node.get("epsilon", 1e-12)) * scale
    return _with_sum(node, y if shift is None else y + shift, total)


def skip_rms_norm(
    node: Node, x: Tensor, skip: Tensor, scale: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, ...]:
    """``SkipSimplifiedLayerNormalization``: the same without a mean."""
    total = _sum(x, skip, bias)
    square = (total * total).mean(-1, keepdim=True)
    return _with_sum(node, total * torch.rsqrt(square + node.get("epsilon", 1e-12)) * scale, total)


def _sum(x: Tensor, skip: Tensor, bias: Tensor | None) -> Tensor:
    return x + skip if bias is None else x + skip + bias


def _with_sum(node: Node, y: Tensor, total: Tensor) -> tuple[Tensor, ...]:
    # the statistics between the two are for training
    return (y, total, total, total)[: max(node.outputs, 1)]


def _activated(node: Node, y: Tensor, values: Sequence[Any]) -> Tensor:
    kind = node.get("activation", "")
    if kind in _PLAIN:
        return _PLAIN[kind](y)
    if kind in ("LeakyRelu", "Elu"):
        alpha = values[0] if values else {"LeakyRelu": 0.01, "Elu": 1.0}[kind]
        return F.leaky_relu(y, alpha) if kind == "LeakyRelu" else F.elu(y, alpha)
    if kind == "Clip" and len(values) == 2:
        return torch.clamp(y, values[0], values[1])
    if kind == "HardSigmoid":
        alpha, beta = values if len(values) == 2 else (0.2, 0.5)
        return (y * alpha + beta).clamp(0, 1)
    raise node.refuse(f"activation {kind!r}")
