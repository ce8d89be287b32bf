"""What of an ONNX file runs in integers, and what of it is compressed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from tiny_onnx import BATCH, graph, node, noise

from compd.runtimes import FileRuntime, open_file

S, Z = np.array(0.1, np.float32), np.array(3, np.uint8)
X = {"x": (BATCH, 3, 6, 6)}
GRID = {"s": S, "z": Z, "wz": np.array(0, np.int8)}


def opened(folder: Path, model: onnx.ModelProto) -> FileRuntime:
    path = folder / "model.onnx"
    onnx.save(model, path)
    return open_file(path)


def tail(name: str) -> list[onnx.NodeProto]:
    return [node("GlobalAveragePool", name, "gap"), node("Flatten", "gap", "y")]


def between(name: str, kind: str, more: str = "", **attributes: Any) -> list[onnx.NodeProto]:
    """An operator between DequantizeLinear and QuantizeLinear; its result is ``name``."""
    return [
        node("DequantizeLinear", "in s z", "d"),
        node(kind, f"d {more}", "o", **attributes),
        node("QuantizeLinear", "o s z", "oq"),
        node("DequantizeLinear", "oq s z", name),
    ]


def qdq(nodes: Sequence[onnx.NodeProto], zero: Any = Z, **more: np.ndarray) -> onnx.ModelProto:
    nodes = [node("QuantizeLinear", "x s z", "in"), *nodes]
    constants = GRID | {"z": np.asarray(zero)} | more
    return graph(nodes, X, constants=constants, opset=21)


def conv(zero: Any = Z) -> onnx.ModelProto:
    nodes = [node("DequantizeLinear", "w s wz", "wd"), *between("c", "Conv", "wd"), *tail("c")]
    return qdq(nodes, zero, w=np.ones((4, 3, 3, 3), np.int8))


def test_a_convolution_that_the_runtime_fuses(tmp_path: Path) -> None:
    runtime = opened(tmp_path, conv())
    assert runtime.census["int8"]["QLinearConv"] == 1
    assert "Conv" not in runtime.census.get("float32", {})
    plain = runtime.plain()
    assert plain is not None
    assert plain.census == {"float32": {"Conv": 1, "GlobalAveragePool": 1}}
    assert runtime.compressed == ("DequantizeLinear", "QuantizeLinear", "int8", "uint8")


@pytest.mark.parametrize(
    ("kind", "more", "constants", "attributes"),
    [
        ("InstanceNormalization", "a b", {"a": noise(3), "b": noise(3)}, {}),
        ("LayerNormalization", "a b", {"a": noise(6), "b": noise(6)}, {}),
        ("PRelu", "a", {"a": noise(3, 1, 1)}, {}),
        ("ConvTranspose", "a", {"a": noise(3, 4, 3, 3)}, {}),
        ("Softplus", "", {}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_computes_in_float_between_the_two(
    tmp_path: Path, kind: str, more: str, constants: dict[str, Any], attributes: dict[str, Any]
) -> None:
    model = qdq([*between("o2", kind, more, **attributes), *tail("o2")], **constants)
    runtime = opened(tmp_path, model)
    assert runtime.census["float32"][kind] == 1
    assert kind not in runtime.census.get("int8", {})
    assert runtime.compressed


def test_halves_on_a_cpu_compute_in_float32(tmp_path: Path) -> None:
    half = TensorProto.FLOAT16
    nodes = [
        node("Cast", "x", "h", to=half),
        node("Conv", "h w", "c"),
        node("Cast", "c", "f", to=TensorProto.FLOAT),
        *tail("f"),
    ]
    model = graph(nodes, X, constants={"w": noise(4, 3, 3, 3).astype(np.float16)})
    runtime = opened(tmp_path, model)
    assert runtime.census == {"float32": {"Conv": 1, "GlobalAveragePool": 1}}
    assert runtime.compressed == ("float16",)


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        (conv(np.array(3, np.uint16)), {"int8", "uint16", "QuantizeLinear"}),
        (
            graph(
                [node("DequantizeLinear", "w s", "wd"), node("Conv", "x wd", "c"), *tail("c")],
                X,
                constants={"s": S, "w": np.ones((4, 3, 3, 3), np.int8)},
            ),
            {"int8", "DequantizeLinear"},
        ),
        (
            graph(
                [
                    node("Flatten", "x", "f"),
                    node("com.microsoft.DynamicQuantizeMatMul", "f w s z", "y"),
                ],
                X,
                constants={"w": np.ones((108, 4), np.uint8), "s": S, "z": Z},
            ),
            {"uint8", "DynamicQuantizeMatMul"},
        ),
        (
            graph(
                [
                    node("Flatten", "x", "f"),
                    node(
                        "com.microsoft.MatMulNBits",
                        "f w a",
                        "y",
                        K=108,
                        N=4,
                        bits=4,
                        block_size=32,
                    ),
                ],
                X,
                constants={"w": np.ones((4, 4, 16), np.uint8), "a": noise(16)},
            ),
            {"uint8", "MatMulNBits"},
        ),
    ],
    ids=["16-bit activations", "weights alone", "dynamic", "4-bit weights"],
)
def test_compressed_files_that_compute_in_float_or_not(
    tmp_path: Path, model: onnx.ModelProto, parts: set[str]
) -> None:
    runtime = opened(tmp_path, model)
    assert runtime.compressed is not None
    assert parts <= set(runtime.compressed)
    dynamic = "DynamicQuantizeMatMul" in parts
    assert ("int8" in runtime.census) == dynamic
    if dynamic:
        assert runtime.census == {"int8": {"DynamicQuantizeMatMul": 1}}


def test_a_float_file_is_not_compressed(tmp_path: Path) -> None:
    model = graph(
        [
            node("Gather", "x i", "g", axis=1),
            node("Constant", "", "flag", value=helper.make_tensor("t", TensorProto.BOOL, [], [1])),
            node("Conv", "g w", "c"),
            *tail("c"),
        ],
        X,
        constants={"i": np.array([2, 1, 0]), "w": noise(4, 3, 3, 3)},
    )
    runtime = opened(tmp_path, model)
    assert runtime.compressed == ()
    assert runtime.census == {"float32": {"Conv": 1, "GlobalAveragePool": 1}}


def test_what_only_moves_numbers_is_not_counted(tmp_path: Path) -> None:
    model = graph(
        [
            node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
            node("Concat", "t t", "c", axis=3),
            node("Slice", "c a b c3", "s"),
            node("ReduceMean", "s", "m", axes=[1, 2], keepdims=0),
            node("Softmax", "m", "y"),
        ],
        X,
        constants={"a": np.array([0]), "b": np.array([4]), "c3": np.array([3])},
    )
    assert opened(tmp_path, model).census == {"float32": {"ReduceMean": 1, "Softmax": 1}}


def test_a_file_that_the_runtime_optimised(tmp_path: Path) -> None:
    """With blocks of channels where the CPU at hand has kernels for these."""
    nodes = [node("Conv", "x w", "c"), node("Relu", "c", "r"), *tail("r")]
    model = graph(nodes, X, constants={"w": noise(32, 3, 3, 3)})
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    images = torch.zeros(2, 3, 6, 6, dtype=torch.uint8)
    runtime = open_file(tmp_path / "optimised.onnx")
    assert torch.equal(runtime.run(images), opened(tmp_path, model).run(images))
    assert runtime.compressed == ()


def test_the_runtimes_graph_is_left_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    runtime = opened(tmp_path, conv())
    there = tmp_path / "temporary"
    there.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    assert runtime.census
    assert not list(there.iterdir())
    plain = runtime.plain()
    assert plain is not None
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    with refuses("expected to write", "TMPDIR"):
        _ = plain.census


def test_what_runs_inside_a_branch_counts(tmp_path: Path) -> None:
    floats = helper.make_graph(
        [node("Relu", "x", "r"), node("Flatten", "r", "f")],
        "floats",
        [],
        [helper.make_tensor_value_info("f", TensorProto.FLOAT, None)],
    )
    integers = helper.make_graph(
        [
            node("DynamicQuantizeLinear", "flat", "q s z"),
            node("MatMulInteger", "q w z", "i"),
            node("Cast", "i", "c", to=TensorProto.FLOAT),
        ],
        "integers",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)],
    )
    model = graph(
        [
            node("ReduceMax", "x", "most", keepdims=0),
            node("Greater", "most half", "bright"),
            node("Flatten", "x", "flat"),
            node("If", "bright", "y", then_branch=floats, else_branch=integers),
        ],
        X,
        constants={"half": np.array(0.5, np.float32), "w": np.ones((108, 108), np.int8)},
    )
    census = opened(tmp_path, model).census
    assert census["int8"]["MatMulInteger"] == 1
    assert census["float32"]["Relu"] == 1
    assert not any("If" in operators for operators in census.values())
