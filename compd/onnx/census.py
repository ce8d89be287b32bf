"""Which operators of an ONNX file really compute in int8."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from compd.onnx.elements import EIGHT_BIT, FLOATS
from compd.onnx.types import element_types

if TYPE_CHECKING:
    import onnx

__all__ = ["Census", "census"]

_FLOAT16 = frozenset({10, 16})
# What moves numbers and computes none: it is no island, whatever its type.
_PASSIVE = frozenset(
    {
        "Cast",
        "Constant",
        "ConstantOfShape",
        "DepthToSpace",
        "DequantizeLinear",
        "Dropout",
        "DynamicQuantizeLinear",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Pad",
        "QuantizeLinear",
        "Reshape",
        "Shape",
        "Size",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_FUSED = frozenset({"Relu", "Clip"})


@dataclass(frozen=True)
class Census:
    """How many nodes compute on what, by operator; layout, conversions and shapes do not count.

    ``int8`` are operators on 8-bit integers, and float operators between DequantizeLinear and
    QuantizeLinear of 8 bits, which a runtime replaces by such. The rest are islands of floats.
    """

    int8: Mapping[str, int] = field(default_factory=dict)
    float16: Mapping[str, int] = field(default_factory=dict)
    float32: Mapping[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Part of the nodes that compute in int8, 0..1; 0 for a file that is not quantised."""
        int8, *floats = (sum(part.values()) for part in (self.int8, self.float16, self.float32))
        return int8 / (int8 + sum(floats)) if int8 else 0.0


def census(model: onnx.ModelProto) -> Census:
    """Count the nodes of a graph by what they compute on."""
    nodes = list(model.graph.node)
    types = element_types(model)
    constants = {tensor.name for tensor in model.graph.initializer}
    makers: dict[str, onnx.NodeProto] = {}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in nodes:
        makers.update((name, node) for name in node.output)
        for name in node.input:
            users.setdefault(name, []).append(node)
        if node.op_type == "Constant" or all(name in constants for name in node.input if name):
            constants.update(node.output)

    def quantised(name: str) -> bool:
        maker = makers.get(name)
        return (
            maker is not None
            and maker.op_type == "DequantizeLinear"
            and types.get(maker.input[0]) in EIGHT_BIT
        )

    def requantised(name: str) -> bool:
        following = users.get(name, [])
        return bool(following) and all(
            types.get(user.output[0]) in EIGHT_BIT
            if user.op_type == "QuantizeLinear"
            else user.op_type in _FUSED and requantised(user.output[0])
            for user in following
        )

    def between(node: onnx.NodeProto) -> bool:
        activations = [name for name in node.input if name and name not in constants]
        if node.op_type in _WEIGHTED:
            activations = list(node.input[:2])
        return (
            bool(activations)
            and all(quantised(name) for name in activations)
            and requantised(node.output[0])
        )

    counts: dict[str, Counter[str]] = {
        "int8": Counter(),
        "float16": Counter(),
        "float32": Counter(),
    }
    inside: set[str] = set()  # results that only a fused kernel sees
    for node in nodes:
        kind = types.get(next(iter(node.output), ""), 1)
        if node.op_type in _PASSIVE or all(name in constants for name in node.output):
            continue
        if _integer(node) or kind in EIGHT_BIT:
            counts["int8"][node.op_type] += 1
        elif kind not in FLOATS:
            continue  # shapes and comparisons
        elif between(node) or (node.op_type in _FUSED and node.input[0] in inside):
            counts["int8"][node.op_type] += 1
            inside.update(node.output)
        else:
            counts["float16" if kind in _FLOAT16 else "float32"][node.op_type] += 1
    return Census(**{name: dict(sorted(count.items())) for name, count in counts.items()})


def _integer(node: onnx.NodeProto) -> bool:
    return node.op_type.startswith(("QLinear", "QGemm")) or node.op_type.endswith("Integer")
