"""Operators that need no image: constants, and the sizes of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from compd.onnx.node import Node
from compd.onnx.probe import Value, constant, merged

__all__ = ["FROM_SIZES"]

_INT64 = 7


def _constant(node: Node, _inputs: list[Value | None]) -> Value:
    for key in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        if key in node.attributes:
            value = node.attributes[key]
            return value if isinstance(value, Value) else constant(torch.tensor(value))
    raise node.refuse("a constant that is no tensor")


def _shape(node: Node, inputs: list[Value | None]) -> Value:
    (value,) = inputs
    if value is None:
        raise node.refuse("no input")
    cut = slice(node.get("start", 0), node.get("end"))
    return merged(
        [torch.tensor(list(p.shape[cut]), dtype=torch.int64) for p in value.probes], _INT64
    )


def _size(_node: Node, inputs: list[Value | None]) -> Value:
    return merged([torch.tensor(math.prod(p.shape)) for v in inputs if v for p in v.probes], _INT64)


FROM_SIZES: dict[str, Callable[[Node, list[Value | None]], Value]] = {
    "Constant": _constant,
    "Shape": _shape,
    "Size": _size,
}
