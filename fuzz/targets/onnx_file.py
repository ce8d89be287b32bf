"""ONNX files: read, described, looked at for saturation, and walked into a module."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np

from targets.contract import only_compd_errors, scratch
from targets.protobufs import mutate_message

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    onnx = None
    MISSING = "the package onnx is not installed: pip install 'compd[onnx]'"

from compd.onnx import describe, read_onnx, to_module
from compd.onnx.ops import OPERATORS
from compd.onnx.saturation import risks, saturating

__all__ = ["WORDS", "entry", "mutate", "seeds"]

_ATTRIBUTES = (
    b"kernel_shape",
    b"pads",
    b"strides",
    b"dilations",
    b"group",
    b"auto_pad",
    b"SAME_UPPER",
    b"axis",
    b"axes",
    b"perm",
    b"to",
    b"alpha",
    b"beta",
    b"transA",
    b"transB",
    b"epsilon",
    b"ceil_mode",
    b"count_include_pad",
    b"mode",
    b"linear",
    b"value",
    b"keepdims",
    b"allowzero",
    b"location",
    b"offset",
    b"length",
    b"../x",
    b"x",
    b"y",
    b"w",
    b"h0",
    b"h1",
    b"h2",
    b"",
    b"\0",
    b"\x1b[31m",
    b"com.microsoft",
    b"ai.onnx",
    b"N",
    b"9" * 30,
)
WORDS = tuple(
    dict.fromkeys(
        (
            *_ATTRIBUTES,
            *(name.rpartition(".")[2].encode() for name in OPERATORS),
            b"Constant",
            b"Shape",
            b"Size",
            b"If",
            b"Loop",
            b"ConstantOfShape",
        )
    )
)


def seeds() -> Iterator[bytes]:
    """A float network, a QDQ one, QOperators, shape arithmetic, and assorted operators."""
    if onnx is None:
        return
    w = np.random.default_rng(0).normal(size=(2, 1, 3, 3)).astype(np.float32)
    q = np.arange(-9, 9).astype(np.int8).reshape(2, 1, 3, 3)
    flat = np.ones((2, 3), np.float32)
    scale, zero = np.float32(0.1), np.uint8(3)
    n = helper.make_node
    shape = np.array([0, -1], np.int64)
    yield _model(
        [
            n("Conv", ["x", "w"], ["h0"], pads=[1] * 4, strides=[2, 2]),
            n("BatchNormalization", ["h0", "o", "o", "o", "o"], ["h1"]),
            n("Relu", ["h1"], ["h2"]),
            n("GlobalAveragePool", ["h2"], ["h3"]),
            n("Flatten", ["h3"], ["h4"]),
            n("Gemm", ["h4", "f"], ["y"]),
        ],
        {"w": w, "o": np.ones(2, np.float32), "f": flat},
    )
    yield _model(
        [
            n("QuantizeLinear", ["x", "s", "z"], ["h0"]),
            n("DequantizeLinear", ["h0", "s", "z"], ["h1"]),
            n("DequantizeLinear", ["q", "s", "i"], ["h2"]),
            n("Conv", ["h1", "h2"], ["h3"]),
            n("MaxPool", ["h3"], ["h4"], kernel_shape=[2, 2]),
            n("QuantizeLinear", ["h4", "s", "z"], ["h5"]),
            n("DequantizeLinear", ["h5", "s", "z"], ["h6"]),
            n("Reshape", ["h6", "r"], ["h7"]),
            n("Softmax", ["h7"], ["y"]),
        ],
        {"s": scale, "z": zero, "i": np.int8(0), "q": q, "r": shape},
    )
    yield _model(
        [
            n("QuantizeLinear", ["x", "s", "z"], ["h0"]),
            n("QLinearConv", ["h0", "s", "z", "q", "s", "i", "s", "z"], ["h1"]),
            n(
                "QLinearAdd",
                ["h1", "s", "z", "h1", "s", "z", "s", "z"],
                ["h2"],
                domain="com.microsoft",
            ),
            n("DequantizeLinear", ["h2", "s", "z"], ["h3"]),
            n("Flatten", ["h3"], ["y"]),
        ],
        {"s": scale, "z": zero, "i": np.int8(0), "q": q},
    )
    yield _model(
        [
            n("Shape", ["x"], ["h0"]),
            n("Gather", ["h0", "k"], ["h1"]),
            n("Unsqueeze", ["h1", "a"], ["h2"]),
            n("Concat", ["h2", "m"], ["h3"], axis=0),
            n("Reshape", ["x", "h3"], ["h4"]),
            n("Slice", ["h4", "a", "b", "c"], ["y"]),
        ],
        {
            "k": np.int64(0),
            "a": np.array([0], np.int64),
            "m": np.array([-1], np.int64),
            "b": np.array([9], np.int64),
            "c": np.array([1], np.int64),
        },
    )
    yield _model(
        [
            n("Pad", ["x", "p"], ["h0"]),
            n("Transpose", ["h0"], ["h1"], perm=[0, 2, 3, 1]),
            n("Clip", ["h1", "l", "u"], ["h2"]),
            n("Split", ["h2"], ["h3", "h4"], axis=1, num_outputs=2),
            n("Mul", ["h3", "h4"], ["h5"]),
            n("ReduceMean", ["h5", "t"], ["h6"], keepdims=0),
            n("Resize", ["x", "", "e"], ["h7"], mode="nearest"),
            n("Flatten", ["h7"], ["h8"]),
            n("ReduceSum", ["h8", "v"], ["h9"]),
            n("Add", ["h9", "h6"], ["y"]),
        ],
        {
            "p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
            "l": np.float32(0),
            "u": np.float32(1),
            "t": np.array([1, 2], np.int64),
            "e": np.array([1, 1, 2, 2], np.float32),
            "v": np.array([1], np.int64),
        },
        opset=18,
    )


def _model(nodes: list[object], constants: dict[str, object], *, opset: int = 17) -> bytes:
    def info(name: str, shape: list[object] | None) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", ["N", 1, 8, 8])],
        [info("y", None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return model


def mutate(data: bytes, most: int, seed: int) -> bytes | None:
    """Change one to three fields of the message."""
    draw = random.Random(seed)
    if draw.random() < 0.05:
        return None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf's own, whose package is not named here
        return None
    for _ in range(draw.choice((1, 1, 2, 3))):
        try:
            mutate_message(model, draw, WORDS)
        except (ValueError, TypeError):  # a value that its field does not take
            continue
    changed: bytes = model.SerializeToString()
    return changed if len(changed) <= most else None


def entry(data: bytes) -> None:
    """Read the file, and do with it all that comes before it is run."""
    path = scratch() / "model.onnx"
    path.write_bytes(data)
    with only_compd_errors():
        model = read_onnx(path)
        for look in (
            describe,
            risks,
            to_module,
            lambda m: to_module(saturating(m), shape=(1, 8, 8)),
        ):
            with only_compd_errors():
                look(model)
