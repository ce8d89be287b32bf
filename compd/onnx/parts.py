"""The part of a graph that one of its outputs needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.onnx.walk import graphs_in, graphs_of

if TYPE_CHECKING:
    import onnx

__all__ = ["keep_output_"]


def keep_output_(model: onnx.ModelProto, name: str) -> None:
    """Leave the nodes that an output is computed from, and this output alone, in place.

    Args:
        model: of :func:`compd.onnx.read_onnx`, whose nodes are in order.
        name: of one of its outputs.
    """
    graph, needed = model.graph, {name}
    kept = []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node.SerializeToString())
        needed.update(node.input)
        for inner in (part for outer in graphs_of(node) for part in graphs_in(outer)):
            needed.update(taken for one in inner.node for taken in one.input)
            needed.update(output.name for output in inner.output)
    nodes = [type(graph.node[0]).FromString(data) for data in reversed(kept)]
    del graph.node[:]
    graph.node.extend(nodes)
    outputs = [type(one).FromString(one.SerializeToString()) for one in graph.output]
    del graph.output[:]
    graph.output.extend(one for one in outputs if one.name == name)
