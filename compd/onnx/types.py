"""Element types of a graph's values, told from its operators alone.

The package onnx can infer them together with shapes, but that runs the shape functions of each
operator on whatever a file claims, and some of those end the process (found by fuzzing: a ``Conv``
with fewer strides than dimensions).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from compd.onnx.elements import BOOL, INT32, INT64, UINT8

if TYPE_CHECKING:
    import onnx

__all__ = ["element_types"]

_FLOAT32 = 1
_ALWAYS = {
    **dict.fromkeys(("Shape", "Size", "ArgMax", "ArgMin", "NonZero"), INT64),
    **dict.fromkeys(
        (
            "Equal",
            "Less",
            "LessOrEqual",
            "Greater",
            "GreaterOrEqual",
            "Not",
            "And",
            "Or",
            "Xor",
            "IsNaN",
            "IsInf",
        ),
        BOOL,
    ),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), INT32),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention"), _FLOAT32),
    "DynamicQuantizeLinear": UINT8,
}
_FROM_INPUT = {"DequantizeLinear": 1, "Where": 1, "CastLike": 1, "OneHot": 2}  # else the first
_ZERO_POINT = {
    "QuantizeLinear": 2,
    "QLinearConv": 7,
    "QLinearMatMul": 7,
    "QLinearAdd": 7,
    "QLinearMul": 7,
    "QLinearConcat": 1,
}
_QGEMM_ZERO_POINT = 8  # without it, floats

_UNKNOWN = frozenset({"If", "Loop", "Scan", "SequenceAt"})


def element_types(
    graph: onnx.GraphProto, around: Mapping[str, int] = MappingProxyType({})
) -> dict[str, int]:
    """Element types by the name of the value, as far as they can be told.

    Args:
        graph: a model's, or a branch or body of one of its nodes.
        around: what is known of the values around such a branch.
    """
    types = dict(around)
    types.update((tensor.name, int(tensor.data_type)) for tensor in graph.initializer)
    for info in (*graph.input, *graph.value_info, *graph.output):
        if info.type.tensor_type.elem_type:
            types.setdefault(info.name, info.type.tensor_type.elem_type)
    for node in graph.node:
        kind = _of_result(node, types)
        if kind and node.output:
            types.setdefault(node.output[0], kind)
        if node.op_type == "DynamicQuantizeLinear":
            types.update(zip(node.output, (UINT8, _FLOAT32, UINT8), strict=False))
        elif node.op_type in ("TopK", "MaxPool"):
            types.update((name, INT64) for name in node.output[1:])
        elif node.op_type not in _UNKNOWN and kind:
            for name in node.output[1:]:
                types.setdefault(name, kind)
    return types


def _of_result(node: onnx.NodeProto, types: Mapping[str, int]) -> int:
    """The element type of a node's first result; 0 if that cannot be told."""
    kind = node.op_type
    if kind in _UNKNOWN:
        return 0
    if kind in _ALWAYS:
        return _ALWAYS[kind]
    if kind == "QGemm":
        return _input_type(node, _QGEMM_ZERO_POINT, types) or _FLOAT32
    if kind in _ZERO_POINT or kind.startswith("QLinear"):
        return _input_type(node, _ZERO_POINT.get(kind, len(node.input)), types) or (
            _attribute(node, "output_dtype") or UINT8
        )
    if kind == "Cast":
        return _attribute(node, "to")
    if kind in ("Constant", "ConstantOfShape"):
        return _of_constant(node)
    return _input_type(node, _FROM_INPUT.get(kind, 0), types)


def _of_constant(node: onnx.NodeProto) -> int:
    for attribute in node.attribute:
        if attribute.name == "value":
            return int(attribute.t.data_type)
        if attribute.name.startswith("value_int"):
            return INT64
    return _FLOAT32


def _input_type(node: onnx.NodeProto, at: int, types: Mapping[str, int]) -> int:
    return types.get(node.input[at], 0) if at < len(node.input) else 0


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)
