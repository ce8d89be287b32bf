"""What of an ONNX file is compressed: weights of few bits, and operators that quantise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from compd.onnx.elements import BITS, BOOL, element_name
from compd.onnx.external import all_tensors
from compd.onnx.walk import all_nodes

if TYPE_CHECKING:
    import onnx

__all__ = ["compressed_parts", "computes_in_integers"]

_FEW = 16  # bits
# QuantizeLinear, DynamicQuantizeMatMul, GatherBlockQuantized, MatMulNBits, QLinearConv, QGemm, ...
_QUANTISES = re.compile(r"[Qq]uantize|Integer|NBits|Bnb4|^Q[A-Z]")
_IN_INTEGERS = re.compile(r"^Q[A-Z]|Integer|^DynamicQuantize(?!Linear)")
_INT8_NBITS = 4  # MatMulNBits: the accuracy_level that computes with 8-bit activations


def compressed_parts(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of what is compressed, sorted: element types of weights, and operators.

    Args:
        model: of :func:`compd.onnx.read_onnx`.

    Returns:
        ``("DequantizeLinear", "int8")``; empty for a float32 file.
    """
    return tuple(sorted({*_types(model), *_operators(model)}))


def computes_in_integers(node: onnx.NodeProto) -> bool:
    """Whether an operator multiplies integers, whatever it takes and gives."""
    if node.op_type == "MatMulNBits":
        return any(a.name == "accuracy_level" and a.i == _INT8_NBITS for a in node.attribute)
    return bool(_IN_INTEGERS.search(node.op_type))


def _types(model: onnx.ModelProto) -> Iterator[str]:
    for tensor in all_tensors(model):
        if tensor.data_type != BOOL and BITS.get(tensor.data_type, 32) <= _FEW:
            yield element_name(tensor.data_type)


def _operators(model: onnx.ModelProto) -> Iterator[str]:
    return (node.op_type for node in all_nodes(model) if _QUANTISES.search(node.op_type))
