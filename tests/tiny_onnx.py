"""Tiny ONNX graphs, and what ONNX Runtime computes for them with every optimisation off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, fx

from compd.onnx import to_module

Arrays = Mapping[str, np.ndarray]
BATCH = "N"
onnxruntime.set_default_logger_severity(3)  # errors only; it warns of weights that nothing uses


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    *,
    constants: Arrays | None = None,
    outputs: Sequence[str] = ("y",),
    types: Mapping[str, int] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model; ``types`` gives the element types of inputs and outputs that are not float32."""
    types = types or {}

    def info(name: str, shape: Sequence[int | str] | None) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, types.get(name, TensorProto.FLOAT), shape)

    made = helper.make_graph(
        nodes,
        "tiny",
        [info(name, shape) for name, shape in inputs.items()],
        [info(name, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def run_ort(model: onnx.ModelProto, inputs: Arrays) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: list[np.ndarray] = session.run(None, dict(inputs))
    return results


def run_torch(module: fx.GraphModule, inputs: Arrays) -> list[np.ndarray]:
    tensors = [torch.from_numpy(value.astype(np.float32)) for value in inputs.values()]
    with torch.no_grad():
        results = module(*tensors)
    return [part.numpy() for part in (results if isinstance(results, tuple) else (results,))]


def noise(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=shape) * scale
    return np.asarray(drawn, dtype=np.float32)


def agree(
    model: onnx.ModelProto, inputs: Arrays, *, atol: float = 1e-5, rtol: float = 1e-5
) -> fx.GraphModule:
    """Check that the converted module gives what the runtime gives; returns the module."""
    module = to_module(model)
    retraced = fx.symbolic_trace(module)
    for expected, one, two in zip(
        run_ort(model, inputs), run_torch(module, inputs), run_torch(retraced, inputs), strict=True
    ):
        assert one.shape == expected.shape
        np.testing.assert_allclose(one, expected.astype(np.float32), atol=atol, rtol=rtol)
        np.testing.assert_array_equal(one, two)
    return module


def gradient(module: fx.GraphModule, x: Tensor) -> Tensor:
    """Of the sum of the outputs."""
    x = x.clone().requires_grad_()
    (result,) = torch.autograd.grad(module(x).sum(), x)
    return result


def node(kind: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    """``node("Add", "a b")``: names apart by spaces; ``-`` leaves an input out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    domain, _, kind = kind.rpartition(".")
    made = ["" if name == "-" else name for name in outputs.split()]
    return helper.make_node(kind, names, made, domain=domain, **attributes)
