"""What the two ends of an ONNX graph are: integers with a scale, probabilities, logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compd.errors import require_extra

if TYPE_CHECKING:
    import onnx

__all__ = ["Ends", "Grid", "ends_of"]

Grid = tuple[float, int]  # scale and zero point of a tensor of integers

_PASSIVE = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_ROUNDING = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})
_KINDS = {
    "Softmax": "probs",
    "QLinearSoftmax": "probs",
    "Sigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
}
# Where the scale of its integers is among the inputs of a node; the zero point is next.
_TAKES = {"DequantizeLinear": 1, "QLinearConv": 1, "QLinearMatMul": 1, "QGemm": 1}
_MAKES = {
    "QuantizeLinear": 1,
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QGemm": 7,
    "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
    "QLinearLeakyRelu": 3,
    "QLinearSigmoid": 3,
    "QLinearSoftmax": 3,
}


@dataclass(frozen=True)
class Ends:
    """What a graph takes and gives, as far as its first and last operators tell."""

    input: Grid | None  # None: floats, or integers that are the pixels' levels themselves
    output: Grid | None  # None: floats, or integers without a scale
    kind: str  # of the output: "probs", "sigmoid", or else "logits"
    dynamic: bool  # whether operators set ranges by what is in a call


def ends_of(model: onnx.ModelProto, given: str, answer: str) -> Ends:
    """Look at the operators behind an input and before an output.

    Args:
        model: of :func:`compd.onnx.read_onnx`.
        given: name of the input.
        answer: name of the output.
    """
    nodes = list(model.graph.node)
    makers = {name: node for node in nodes for name in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    last = _behind(answer, makers, _PASSIVE)
    scored = _behind(answer, makers, _PASSIVE | _ROUNDING)
    functions = (node for function in model.functions for node in function.node)
    return Ends(
        next((_grid(node, _TAKES, constants) for node in _users(given, nodes)), None),
        None if last is None else _grid(last, _MAKES, constants),
        _KINDS.get("" if scored is None else scored.op_type, "logits"),
        any(node.op_type.startswith("Dynamic") for node in (*nodes, *functions)),
    )


def _behind(
    name: str, makers: Mapping[str, onnx.NodeProto], passive: frozenset[str]
) -> onnx.NodeProto | None:
    """The node that computes a value, past those that only move or round it."""
    node = makers.get(name)
    while node is not None and node.op_type in passive and node.input:
        node = makers.get(node.input[0])
    return node


def _users(name: str, nodes: list[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """The nodes that compute with a value, past those that only move it."""
    for node in nodes:
        if name in node.input:
            if node.op_type in _PASSIVE:
                yield from _users(node.output[0], nodes)
            else:
                yield node


def _grid(
    node: onnx.NodeProto, at: Mapping[str, int], constants: Mapping[str, onnx.TensorProto]
) -> Grid | None:
    """Scale and zero point among a node's inputs; None where they are not one number each."""
    first = at.get(node.op_type)
    if first is None or first >= len(node.input):
        return None
    numbers = []
    for name in (node.input[first], *node.input[first + 1 : first + 2]):
        if name and name not in constants:
            return None
        tensor = constants.get(name)
        values = (
            np.zeros(1)
            if tensor is None
            else require_extra("onnx", "onnx").numpy_helper.to_array(tensor)
        )
        if values.size != 1:
            return None
        numbers.append(float(values.reshape(-1)[0]))
    scale, zero = (*numbers, 0.0)[:2]
    return (scale, int(zero)) if scale > 0 and np.isfinite(scale) else None
