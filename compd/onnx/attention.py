"""Attention: ONNX's operator, and those that ONNX Runtime's optimiser for transformers leaves."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from compd.models.products import matmul
from compd.models.rounding import Zero
from compd.onnx.elements import BOOL
from compd.onnx.node import Node
from compd.onnx.quantised import real

__all__ = ["attention", "multi_head", "packed", "packed_in_integers"]


def attention(
    node: Node,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *past: Tensor | None,
) -> Tensor:
    """``Attention`` of opset 23: heads apart (N, H, L, D), or side by side (N, L, H * D)."""
    if any(x is not None for x in past) or node.outputs > 1:
        raise node.refuse("keys of an earlier call")
    apart = len(node.shapes[0]) == 4
    given = [node.get("q_num_heads"), node.get("kv_num_heads")]
    own, shared = node.fixed([shape[1] for shape in node.shapes[:2]]) if apart else given
    if not apart:
        query = _heads(query, own)
        key, value = _heads(key, shared), _heads(value, shared)
    if own != shared:  # several heads ask one and the same
        key, value = (x.repeat_interleave(own // shared, 1) for x in (key, value))
    bias = mask
    if mask is not None and node.types[3] == BOOL:
        bias = None
    scores = _scores(node, query, key, bias, causal=bool(node.get("is_causal", 0)))
    if cap := node.get("softcap", 0.0):
        scores = torch.tanh(scores / cap) * cap
    if mask is not None and bias is None:
        scores = scores.masked_fill(torch.logical_not(mask), -math.inf)
    mixed: Tensor = matmul(F.softmax(scores, -1), value)
    return mixed if apart else _side_by_side(mixed)


def multi_head(
    node: Node,
    query: Tensor,
    key: Tensor | None = None,
    value: Tensor | None = None,
    bias: Tensor | None = None,
    padding: Tensor | None = None,
    added: Tensor | None = None,
    *past: Tensor | None,
) -> Tensor:
    """``MultiHeadAttention``: projected before, (N, L, H * D) each."""
    if padding is not None or any(x is not None for x in past) or node.outputs > 1:
        raise node.refuse("masks of padding, or keys of an earlier call")
    if key is None or value is None or any(len(shape) != 3 for shape in node.shapes[:3]):
        raise node.refuse("queries, keys and values that are packed")
    if bias is not None:
        widths = [node.fixed(shape[-1:])[0] for shape in node.shapes[:3]]
        one, two, three = torch.split(bias, widths, 0)
        query, key, value = query + one, key + two, value + three
    return _attend(node, query, key, value, added)


def packed(
    node: Node,
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    past: Tensor | None = None,
    added: Tensor | None = None,
    *more: Tensor | None,
) -> Tensor:
    """ONNX Runtime's ``Attention``: one matrix makes queries, keys and values of x (N, L, C)."""
    if any(part is not None for part in (mask, past, *more)):
        raise node.refuse("masks of padding, or keys of an earlier call")
    made = matmul(x, weights)
    return _of_packed(node, made if bias is None else made + bias, added)


def packed_in_integers(
    node: Node,
    x: Tensor,
    weights: Tensor,
    bias: Tensor,
    x_scale: Tensor,
    w_scale: Tensor,
    mask: Tensor | None = None,
    x_zero: Zero = 0,
    w_zero: Zero = 0,
    past: Tensor | None = None,
) -> Tensor:
    """``QAttention``: as :func:`packed`, of integers."""
    if mask is not None or past is not None:
        raise node.refuse("masks of padding, or keys of an earlier call")
    x_zero, w_zero = (0 if zero is None else zero for zero in (x_zero, w_zero))
    total = matmul(x - x_zero, weights - w_zero)
    return _of_packed(node, real(total, x_scale * w_scale, 0) + bias, None)


def _of_packed(node: Node, made: Tensor, added: Tensor | None) -> Tensor:
    if node.get("do_rotary", 0) or node.outputs > 1:
        raise node.refuse("rotary embeddings, or keys for a later call")
    (width,) = node.fixed(node.shapes[1][-1:])
    sizes = node.get("qkv_hidden_sizes") or [width // 3] * 3
    parts = torch.split(made, sizes, -1)
    return _attend(node, parts[0], parts[1], parts[2], added)


def _attend(node: Node, query: Tensor, key: Tensor, value: Tensor, added: Tensor | None) -> Tensor:
    """Attention of projections (N, L, H * D) as ONNX Runtime's operators say it."""
    query, key, value = (_heads(x, node.get("num_heads")) for x in (query, key, value))
    scores = _scores(node, query, key, added, causal=bool(node.get("unidirectional", 0)))
    return _side_by_side(matmul(F.softmax(scores, -1), value))


def _scores(node: Node, query: Tensor, key: Tensor, bias: Any, *, causal: bool) -> Tensor:
    """(N, H, L, D) of both to (N, H, L, L')."""
    scale = node.get("scale", 0.0)
    products = matmul(query, key.transpose(-1, -2))
    scores: Tensor = products * scale if scale else products / query.shape[-1] ** 0.5
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.triu(torch.ones_like(scores), 1) > 0
        scores = scores.masked_fill(later, -math.inf)
    return scores


def _heads(x: Tensor, count: int) -> Tensor:
    """(N, L, H * D) to (N, H, L, D)."""
    return torch.unflatten(x, -1, (count, -1)).transpose(1, 2)


def _side_by_side(x: Tensor) -> Tensor:
    """(N, H, L, D) to (N, L, H * D)."""
    return x.transpose(1, 2).flatten(2)
