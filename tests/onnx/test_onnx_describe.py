"""A file's own words, and the count of what really computes in int8."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_onnx import BATCH, graph, node, noise

from compd.onnx import Census, Described, describe

S, Z = np.array(0.1, np.float32), np.array(3, np.uint8)


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


def qdq(*, tail: bool, weights: bool = True, zero: Any = Z) -> onnx.ModelProto:
    """Convolution and ReLU in int8; without a tail the linear layer's result stays float."""
    nodes = [
        node("QuantizeLinear", "x s z", "xq"),
        node("DequantizeLinear", "xq s z", "xd"),
        node("DequantizeLinear", "wq s wz", "wd"),
        node("Conv", "xd wd b", "c"),
        node("Relu", "c", "r"),
        node("QuantizeLinear", "r s z", "rq"),
        node("MaxPool", "rq", "pq", kernel_shape=[2, 2]),
        node("DequantizeLinear", "pq s z", "p"),
        node("HardSwish", "p", "h"),
        node("QuantizeLinear", "h s z", "hq"),
        node("DequantizeLinear", "hq s z", "hd"),
        node("GlobalAveragePool", "hd", "g"),
        node("Softmax", "g", "y"),
    ]
    if not weights:
        nodes[3] = node("Conv", "xd wf b", "c")
    if tail:
        nodes[-1:] = [
            node("QuantizeLinear", "g s z", "gq"),
            node("DequantizeLinear", "gq s z", "y"),
        ]
    constants = {
        "s": S,
        "z": np.asarray(zero),
        "wq": np.ones((4, 3, 3, 3), np.int8),
        "wz": np.array(0, np.int8),
        "wf": noise(4, 3, 3, 3),
        "b": noise(4),
    }
    return graph(nodes, {"x": (BATCH, 3, 6, 6)}, constants=constants, opset=21)


def test_a_float_file() -> None:
    described = describe(plain())
    assert described.input == Described("x", "float32", (None, 3, 6, 6))
    assert [output.name for output in described.outputs] == ["y"]
    assert (described.opset, described.producer) == (17, "maker 1.2")
    assert described.metadata == {"task": "classify"}
    kinds = {"Conv": 1, "Relu": 1, "GlobalAveragePool": 1, "Gemm": 1}
    assert described.census == Census(float32=dict(sorted(kinds.items())))
    assert described.census.share == 0
    json.dumps(asdict(described))


def test_a_half_file() -> None:
    counted = describe(plain(TensorProto.FLOAT16)).census
    assert sum(counted.float16.values()) == 4
    assert not counted.int8
    assert not counted.float32


def test_what_lies_between_the_two_is_int8() -> None:
    counted = describe(qdq(tail=True)).census
    kinds = {"Conv", "Relu", "MaxPool", "HardSwish", "GlobalAveragePool"}
    assert counted.int8 == dict.fromkeys(sorted(kinds), 1)
    assert not counted.float32
    assert counted.share == 1


def test_islands_of_floats() -> None:
    counted = describe(qdq(tail=False)).census
    assert counted.float32 == {"GlobalAveragePool": 1, "Softmax": 1}
    assert 0 < counted.share < 1


def test_float_weights_make_a_float_convolution() -> None:
    counted = describe(qdq(tail=True, weights=False)).census
    assert counted.float32 == {"Conv": 1, "Relu": 1}


def test_sixteen_bits_are_not_eight() -> None:
    counted = describe(qdq(tail=True, zero=np.array(3, np.uint16))).census
    assert not counted.int8


def test_weights_alone_make_no_int8() -> None:
    model = graph(
        [
            node("DequantizeLinear", "wq s", "w"),
            node("Conv", "x w"),
        ],
        {"x": (BATCH, 3, 6, 6)},
        constants={"s": S, "wq": np.ones((4, 3, 3, 3), np.uint8)},
    )
    assert describe(model).census == Census(float32={"Conv": 1})


def test_integer_operators() -> None:
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("QLinearConv", "q s z w s wz s z", "c"),
        node("com.microsoft.QLinearAdd", "c s z c s z s z", "a"),
        node("MaxPool", "a", "m", kernel_shape=[2, 2]),
        node("DequantizeLinear", "m s z", "d"),
        node("Sigmoid", "d", "y"),
    ]
    constants = {"s": S, "z": Z, "w": np.ones((4, 3, 3, 3), np.int8), "wz": np.array(0, np.int8)}
    counted = describe(graph(nodes, {"x": (BATCH, 3, 6, 6)}, constants=constants)).census
    assert counted.int8 == {"MaxPool": 1, "QLinearAdd": 1, "QLinearConv": 1}
    assert counted.float32 == {"Sigmoid": 1}


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
