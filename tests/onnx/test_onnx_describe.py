"""A file's own words."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_onnx import BATCH, graph, node, noise

from compd.onnx import Described, describe


def plain(kind: int = TensorProto.FLOAT) -> onnx.ModelProto:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    model = graph(
        [
            node("Conv", "x w", "c"),
            node("Relu", "c", "r"),
            node("GlobalAveragePool", "r", "g"),
            node("Flatten", "g", "f"),
            node("Gemm", "f v", "y", transB=1),
        ],
        {"x": (BATCH, 3, 6, 6)},
        constants={"w": noise(4, 3, 3, 3).astype(dtype), "v": noise(2, 4).astype(dtype)},
        types={"x": kind, "y": kind},
    )
    model.producer_name, model.producer_version = "maker", "1.2"
    helper.set_model_props(model, {"task": "classify"})
    return model


def test_a_float_file() -> None:
    described = describe(plain())
    assert described.input == Described("x", "float32", (None, 3, 6, 6))
    assert [output.name for output in described.outputs] == ["y"]
    assert (described.opset, described.producer) == (17, "maker 1.2")
    assert described.metadata == {"task": "classify"}
    json.dumps(asdict(described))


def test_a_half_file() -> None:
    assert describe(plain(TensorProto.FLOAT16)).input.element == "float16"


@pytest.mark.parametrize(
    ("inputs", "kind", "culprits"),
    [
        ({"x": (BATCH, 3, 6, 6), "z": (BATCH, 3)}, TensorProto.FLOAT, ["one image input", "x, z"]),
        ({}, TensorProto.FLOAT, ["one image input", "none"]),
        ({"x": (BATCH, 3)}, TensorProto.FLOAT, ["one image input", "float32 (None, 3)"]),
        ({"x": (BATCH, 3, 6, 6)}, TensorProto.BOOL, ["one image input", "bool"]),
    ],
)
def test_inputs_that_are_no_image(
    inputs: dict[str, Any], kind: int, culprits: list[str], refuses: Any
) -> None:
    with refuses(*culprits):
        describe(graph([node("Relu", "x")], inputs, types=dict.fromkeys(inputs, kind)))
