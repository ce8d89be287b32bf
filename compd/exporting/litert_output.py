"""A .tflite file whose logits come out as floats, and whose weights lie within it."""

from __future__ import annotations

from typing import Any

import numpy as np

from compd.errors import require_extra

__all__ = ["float_output", "weights_within"]


def float_output(content: bytes) -> bytes:
    """Put a dequantisation behind int8 logits; the converter takes the last one away.

    Args:
        content: a model with one subgraph and one output.

    Returns:
        The same model, or one that ends in an operator more.
    """
    schema = require_extra("ai_edge_litert.schema_py_generated", "litert")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    (last,) = graph.outputs
    if graph.tensors[last].type == schema.TensorType.FLOAT32:
        return content
    logits = schema.TensorT()
    logits.name = b"logits"
    logits.shape = graph.tensors[last].shape
    logits.shapeSignature = graph.tensors[last].shapeSignature
    logits.type = schema.TensorType.FLOAT32
    graph.tensors.append(logits)
    after = schema.OperatorT()
    after.opcodeIndex = _operator(model, schema)
    after.inputs, after.outputs = [int(last)], [len(graph.tensors) - 1]
    graph.operators.append(after)
    graph.outputs = [len(graph.tensors) - 1]
    for signature in model.signatureDefs or []:
        for output in signature.outputs:
            output.tensorIndex = len(graph.tensors) - 1
    return _packed(model, len(content))


def weights_within(content: bytes) -> bytes:
    """Put weights that lie behind the flatbuffer into it: microcontrollers read none elsewhere.

    Args:
        content: a model as ai-edge-quantizer writes it.
    """
    schema = require_extra("ai_edge_litert.schema_py_generated", "litert")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    moved = [buffer for buffer in model.buffers if buffer.offset > 1]
    for buffer in moved:
        part = content[buffer.offset : buffer.offset + buffer.size]
        buffer.data = np.frombuffer(part, np.uint8)
        buffer.offset = buffer.size = 0
    return _packed(model, len(content)) if moved else content


def _packed(model: Any, size: int) -> bytes:
    flatbuffers = require_extra("flatbuffers", "litert")
    builder = flatbuffers.Builder(size + 1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _operator(model: Any, schema: Any) -> int:
    """The index of the dequantisation in the model's table of operators."""
    kind = schema.BuiltinOperator.DEQUANTIZE
    for index, code in enumerate(model.operatorCodes):
        if code.builtinCode == kind:
            return index
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 2  # the first that takes int8
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
