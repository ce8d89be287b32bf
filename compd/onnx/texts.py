"""Texts of an ONNX file that are none: the format wants UTF-8, and protobuf lets anything pass.

What is no UTF-8 comes as bytes where everything else expects a string.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from compd.errors import InputError

if TYPE_CHECKING:
    import onnx

__all__ = ["check_texts"]


def check_texts(model: onnx.ModelProto) -> None:
    """Look at all names, types of operators and notes.

    Raises:
        CompdError: if one is no UTF-8.
    """
    for text in _of_model(model):
        if not isinstance(text, str):
            raise InputError(
                f"expected names in UTF-8 in an ONNX file, got {text!r:.80}; the file is damaged"
            )


def _of_model(model: onnx.ModelProto) -> Iterator[object]:
    yield from (model.producer_name, model.producer_version, model.domain)
    for entry in model.opset_import:
        yield entry.domain
    for note in model.metadata_props:
        yield from (note.key, note.value)
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from (function.name, function.domain, *function.input, *function.output)
        yield from function.attribute
        for entry in function.opset_import:
            yield entry.domain
        yield from _of_nodes(function.node)


def _of_graph(graph: onnx.GraphProto) -> Iterator[object]:
    yield graph.name
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
        for size in info.type.tensor_type.shape.dim:
            yield size.dim_param
    for tensor in graph.initializer:
        yield from _of_tensor(tensor)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[object]:
    for node in nodes:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.ref_attr_name)
            for tensor in (attribute.t, *attribute.tensors):
                yield from _of_tensor(tensor)
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _of_graph(graph)


def _of_tensor(tensor: onnx.TensorProto) -> Iterator[object]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)
