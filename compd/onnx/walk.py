"""The graphs and nodes of a model, those inside of nodes and functions too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["all_nodes", "graphs_in", "graphs_of"]


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node: of the graph, of subgraphs and of functions."""
    for graph in graphs_in(model.graph):
        yield from graph.node
    for function in model.functions:
        for node in function.node:
            yield node
            for inner in graphs_of(node):
                for graph in graphs_in(inner):
                    yield from graph.node


def graphs_in(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and all inside it, the innermost first."""
    for node in graph.node:
        for inner in graphs_of(node):
            yield from graphs_in(inner)
    yield graph


def graphs_of(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node has as its attributes: branches and bodies of loops."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g
