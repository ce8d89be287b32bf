"""What the operators of an ONNX graph compute in, as the graph has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING

from compd.onnx.compressed import computes_in_integers
from compd.onnx.elements import FLOATS, INT16, RANGES, UINT16, element_name
from compd.onnx.types import element_types
from compd.onnx.walk import graphs_of

if TYPE_CHECKING:
    import onnx

__all__ = ["operators_by_type"]


def operators_by_type(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """The type that each node computes in, and its operator: ``("int8", "QLinearConv")``.

    Nodes on constants alone, shapes and comparisons are left out; of a branch or a loop, what is
    inside counts. Of a file as it was exported,
    this says what is written there; of what a runtime made of it, what runs.

    Args:
        model: its own weights are not needed.
    """
    yield from _of_graph(model.graph, {}, frozenset())


def _of_graph(
    graph: onnx.GraphProto, around: Mapping[str, int], known: Set[str]
) -> Iterator[tuple[str, str]]:
    types = element_types(graph, around)
    constants = {*known, *(tensor.name for tensor in graph.initializer)}
    for node in graph.node:
        inner = list(graphs_of(node))
        for branch in inner:
            yield from _of_graph(branch, types, constants)
        if inner:
            continue
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
            continue
        kind = types.get(next(iter(node.output), ""), 1)
        if computes_in_integers(node):
            yield "int8", node.op_type
        elif kind in RANGES:
            yield "int16" if kind in (INT16, UINT16) else "int8", node.op_type
        elif kind in FLOATS:
            yield element_name(kind), node.op_type
