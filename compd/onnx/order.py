"""The order of a graph's nodes: the format wants each behind its inputs, and runtimes do not."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from compd.errors import InputError
from compd.onnx.walk import graphs_in, graphs_of

if TYPE_CHECKING:
    import onnx

__all__ = ["sort_"]


def sort_(model: onnx.ModelProto, path: Path) -> None:
    """Put each node behind those that it computes from, in subgraphs and functions too, in place.

    Where nodes are in order already, nothing moves; else each goes as far to the front as it can.

    Args:
        model: of any names: what nothing computes is left to the checker.
        path: of the file, for messages.

    Raises:
        CompdError: if nodes compute from each other in a circle.
    """
    for graph in graphs_in(model.graph):
        _sort_nodes_(graph, path)
    for function in model.functions:
        for node in function.node:
            for inner in graphs_of(node):
                for graph in graphs_in(inner):
                    _sort_nodes_(graph, path)
        _sort_nodes_(function, path)


def _sort_nodes_(graph: onnx.GraphProto | onnx.FunctionProto, path: Path) -> None:
    nodes = list(graph.node)
    made = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    after: list[list[int]] = [[] for _ in nodes]
    missing = [0] * len(nodes)  # inputs that are not computed yet
    sorted_ = True
    for i, node in enumerate(nodes):
        for j in {made[name] for name in _needs(node) if name in made}:
            after[j].append(i)
            missing[i] += 1
            sorted_ &= j < i
    if sorted_:
        return
    order: list[int] = []
    ready = [i for i, count in enumerate(missing) if not count]
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in after[i]:
            missing[j] -= 1
            if not missing[j]:
                heapq.heappush(ready, j)
    if len(order) < len(nodes):
        stuck = nodes[next(i for i, count in enumerate(missing) if count)]
        raise InputError(
            f"expected nodes that do not compute from each other in a circle, got node "
            f"{stuck.name!r} ({stuck.op_type}) in one in model={str(path)!r}; export it again"
        )
    copies = [type(nodes[i]).FromString(nodes[i].SerializeToString()) for i in order]
    del graph.node[:]
    graph.node.extend(copies)


def _needs(node: onnx.NodeProto) -> Iterator[str]:
    """Names of what a node computes from, those that its subgraphs take from around it too."""
    yield from node.input
    for graph in graphs_of(node):
        own = {name for inner in graph.node for name in inner.output}
        own |= {given.name for given in (*graph.input, *graph.initializer)}
        taken = (name for inner in graph.node for name in _needs(inner))
        outputs = (output.name for output in graph.output)
        yield from (name for name in (*taken, *outputs) if name not in own)
