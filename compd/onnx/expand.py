"""Nodes that are written out as several, so that what is constant in them is computed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from compd.errors import require_extra

if TYPE_CHECKING:
    import onnx

__all__ = ["EXPANDED"]


def _matmul_nbits(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The weight unpacked, and the product with it."""
    x, *weights = node.input[:5]
    bias = [name for name in node.input[5:6] if name]
    weight = f"{node.output[0]} weight"
    return [
        _like(node, "UnpackedNBits", weights, weight),
        _like(node, "MatMulUnpacked", [x, weight, *bias], node.output[0]),
    ]


def _like(node: onnx.NodeProto, kind: str, inputs: list[str], output: str) -> onnx.NodeProto:
    made = require_extra("onnx.helper", "onnx").make_node(
        kind, inputs, [output], name=node.name, domain="compd"
    )
    made.attribute.extend(node.attribute)
    return made  # type: ignore[no-any-return]


EXPANDED: dict[str, Callable[[onnx.NodeProto], list[onnx.NodeProto]]] = {
    "com.microsoft.MatMulNBits": _matmul_nbits,
}
