"""Biases of an ONNX graph in QDQ form, from floats to int32."""

from __future__ import annotations

from typing import Any

import numpy as np

from compd.errors import require_extra

__all__ = ["quantise_biases_"]

_WITH_BIAS = ("Conv", "Gemm")


def quantise_biases_(model: Any) -> int:
    """Write biases as int32 in the scale of the sum that they are added to, in place.

    That is input scale x weight scale. The error is at most half of one such step, hundreds of
    which make one step of the output; still it moves some activations to the next integer. LiteRT
    does the same, and so, by its answers, does ``qnnpack``; ``fbgemm`` adds floats. ONNX Runtime
    rounds float biases so by itself in new versions, and in old ones leaves their layers out of its
    int8 kernels (seen: 1.31, and 1.20).

    Args:
        model: an ``onnx.ModelProto`` whose weights and activations are dequantised already.

    Returns:
        How many biases of such layers stay floats, because int32 does not hold them.
    """
    helper = require_extra("onnx.helper", "onnx")
    numpy_helper = require_extra("onnx.numpy_helper", "onnx")
    graph = model.graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    scales = {
        node.output[0]: numpy_helper.to_array(values[node.input[1]])
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[1] in values
    }
    nodes, left = [], 0
    for node in graph.node:
        name = node.input[2] if node.op_type in _WITH_BIAS and len(node.input) > 2 else ""
        if name in values and node.input[0] in scales and node.input[1] in scales:
            scale = (scales[node.input[0]] * scales[node.input[1]]).astype(np.float32)
            steps = np.rint(numpy_helper.to_array(values[name]).astype(np.float64) / scale)
            if np.abs(steps).max(initial=0) < 2**31:
                own = f"{node.output[0]}_bias"  # a bias that two layers share has two scales
                parts = {
                    own: steps.astype(np.int32),
                    f"{own}_scale": np.broadcast_to(scale, steps.shape).copy(),
                    f"{own}_zero_point": np.zeros(steps.shape, np.int32),
                }
                for part, value in parts.items():
                    graph.initializer.append(numpy_helper.from_array(value, part))
                node.input[2] = f"{own}_float"
                rounded = [f"{own}_float"]
                nodes.append(helper.make_node("DequantizeLinear", list(parts), rounded, axis=0))
            else:
                left += 1
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    return left
