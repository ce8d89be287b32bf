"""Files from strangers: each fault is one line, and nothing is read from outside of the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from tiny_onnx import BATCH, agree, graph, node, noise

from compd.onnx import describe, read_onnx, to_module


def small(kind: str = "Gemm") -> onnx.ModelProto:
    return graph([node(kind, "x w", name="layer")], {"x": (BATCH, 8)}, constants={"w": noise(8, 8)})


def beside(path: Path, location: str = "weights.bin", **more: Any) -> onnx.ModelProto:
    """A model with its weights in a file of their own, and the model's file says where."""
    model = small()
    (tensor,) = model.graph.initializer
    (path.parent / "weights.bin").write_bytes(b"\0" * 16 + tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in ({"location": location, "offset": 16, "length": 256} | more).items():
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder / "model.onnx"


def test_a_file_is_read(path: Path) -> None:
    path.write_bytes(small().SerializeToString())
    assert read_onnx(path) == small()


def test_weights_beside_the_file_are_read(path: Path) -> None:
    beside(path)
    files = sorted(path.parent.iterdir())
    agree(read_onnx(path), {"x": noise(2, 8)})
    assert read_onnx(path).graph.initializer[0].raw_data == noise(8, 8).tobytes()
    assert sorted(path.parent.iterdir()) == files


def test_no_file(path: Path, refuses: Any) -> None:
    with refuses(str(path), "no such file"):
        read_onnx(path)
    with refuses(str(path.parent), "no such file"):
        read_onnx(path.parent)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"PK\3\4", b"hello there"]
)
def test_another_kind_of_file(path: Path, data: bytes, refuses: Any) -> None:
    path.write_bytes(data)
    with refuses("ONNX file", str(path)):
        read_onnx(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short(path: Path, part: float, refuses: Any) -> None:
    data = small().SerializeToString()
    path.write_bytes(data[: int(len(data) * part)])
    with refuses(str(path), "cut short"):
        read_onnx(path)


@given(data=st.data())
def test_damage_never_shows_a_traceback(
    data: st.DataObject, tmp_path_factory: Any, refuses: Any
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "model.onnx"
    whole = bytearray(small().SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole)
    with refuses(always=False):
        model = read_onnx(path)
        describe(model)
        to_module(model)


def test_a_file_too_large(path: Path, refuses: Any) -> None:
    beside(path)
    for most in (path.stat().st_size + 255, path.stat().st_size - 1):
        with refuses("at most", str(path)):
            read_onnx(path, most_bytes=most)


@pytest.mark.parametrize(
    "location",
    [
        "../outside.bin",
        "/etc/hostname",
        "a/../../outside.bin",
        "",
        "C:\\w.bin",
        "..\\o.bin",
        "a\0b",
    ],
)
def test_external_data_outside_of_the_folder(path: Path, location: str, refuses: Any) -> None:
    (path.parent.parent / "outside.bin").write_bytes(bytes(272))
    beside(path, location)
    with refuses("'w'", "inside the model's folder"):
        read_onnx(path)


def test_a_link_out_of_the_folder(path: Path, refuses: Any) -> None:
    (path.parent.parent / "outside.bin").write_bytes(bytes(272))
    (path.parent / "link.bin").symlink_to("../outside.bin")
    beside(path, "link.bin")
    with refuses("'w'", "link.bin", "leads out"):
        read_onnx(path)
    (path.parent / "inner").symlink_to("..")
    beside(path, "inner/outside.bin")
    with refuses("'w'", "leads out"):
        read_onnx(path)


def test_a_link_within_the_folder(path: Path) -> None:
    beside(path, "link.bin")
    (path.parent / "link.bin").symlink_to("weights.bin")
    assert read_onnx(path).graph.initializer[0].raw_data == noise(8, 8).tobytes()


def test_external_data_that_is_missing(path: Path, refuses: Any) -> None:
    beside(path, "other.bin")
    with refuses("'w'", "'other.bin'", "no such file"):
        read_onnx(path)


@pytest.mark.parametrize(
    "more",
    [{"offset": 17}, {"offset": 2**80}, {"length": 255}, {"offset": -1}, {"length": "many"}],
    ids=str,
)
def test_external_data_that_is_short(path: Path, more: dict[str, Any], refuses: Any) -> None:
    beside(path, **more)
    with refuses("256 bytes", "'w'"):
        read_onnx(path)


@pytest.mark.parametrize("dims", [[2**40, 2**40], [8, 9], [-8, -8], [8]], ids=str)
@pytest.mark.parametrize("external", [False, True])
def test_sizes_that_the_data_does_not_have(
    path: Path, dims: list[int], external: bool, refuses: Any
) -> None:
    model = beside(path) if external else small()
    (tensor,) = model.graph.initializer
    del tensor.dims[:]
    tensor.dims.extend(dims)
    path.write_bytes(model.SerializeToString())
    with refuses(*([] if external and dims[0] == 2**40 else ["'w'"])):
        read_onnx(path)


@pytest.mark.parametrize("nested", [False, True])
def test_typed_data_that_is_short(path: Path, nested: bool, refuses: Any) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    tensor.dims[0] = 2**30
    model = graph([node("Constant", "", "c", value=tensor), node("Add", "x c")], {"x": (BATCH, 3)})
    if not nested:
        model.graph.initializer.append(tensor)
    path.write_bytes(model.SerializeToString())
    with refuses("'t'", "3 values"):
        read_onnx(path)


def test_operators_of_somebody_else(path: Path, refuses: Any) -> None:
    model = graph([node("my.company.Magic", "x", name="odd")], {"x": (BATCH, 3)})
    model.opset_import.append(helper.make_opsetid("my.company", 1))
    path.write_bytes(model.SerializeToString())
    with refuses("my.company.Magic", "'odd'", str(path)):
        read_onnx(path)


def test_a_graph_that_is_not_valid(path: Path, refuses: Any) -> None:
    model = small()
    model.graph.node[0].op_type = "NoSuchOperator"
    path.write_bytes(model.SerializeToString())
    with refuses("valid ONNX model", "NoSuchOperator"):
        read_onnx(path)
    model = small()
    model.ir_version = 1000
    path.write_bytes(model.SerializeToString())
    with refuses("update the package onnx"):
        read_onnx(path)


def test_four_bit_and_half_weights(path: Path) -> None:
    model = small()
    model.graph.initializer.extend(
        [
            helper.make_tensor("a", TensorProto.INT4, (5,), [1, -2, 3, -4, 5]),
            helper.make_tensor("b", TensorProto.FLOAT16, (2,), [1.5, 2.5]),
            helper.make_tensor("c", TensorProto.INT8, (2,), bytes([1, 2]), raw=True),
            helper.make_tensor("d", TensorProto.STRING, (1,), [b"label"]),
            helper.make_tensor("e", TensorProto.BFLOAT16, (0,), np.zeros(0)),
        ]
    )
    del model.graph.initializer[4]  # what to_module would have to hold
    path.write_bytes(model.SerializeToString())
    read_onnx(path)


def shuffled(model: onnx.ModelProto) -> onnx.ModelProto:
    nodes = list(model.graph.node)[::-1]
    turned = onnx.ModelProto.FromString(model.SerializeToString())
    del turned.graph.node[:]
    turned.graph.node.extend(nodes)
    return turned


def test_nodes_in_another_order(path: Path) -> None:
    model = graph(
        [
            node("Relu", "x", "a"),
            node("Mul", "a w", "b"),
            node("Sub", "b a", "c"),
            node("Add", "c x", "y"),
        ],
        {"x": (BATCH, 8)},
        constants={"w": noise(8)},
    )
    path.write_bytes(shuffled(model).SerializeToString())
    assert read_onnx(path) == model
    agree(read_onnx(path), {"x": noise(2, 8)})


def test_what_a_branch_takes_from_around_it_comes_before(path: Path) -> None:
    """And within a branch, and in a function, nodes are sorted too."""
    info = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([node("Neg", "q", "r"), node(kind, "a", "q")], kind, [], [info])
        for kind in ("Relu", "Abs")
    ]
    choose = helper.make_node(
        "If", ["flag"], ["y"], then_branch=branches[0], else_branch=branches[1]
    )
    model = graph(
        [choose, node("Exp", "x", "a")], {"x": (BATCH, 8)}, constants={"flag": np.array(True)}
    )
    model.functions.append(
        helper.make_function(
            "own", "F", ["i"], ["o"],
            [node("Abs", "h", "o"), node("Neg", "i", "h")],
            [helper.make_opsetid("", 17)],
        )
    )  # fmt: skip
    path.write_bytes(model.SerializeToString())
    read = read_onnx(path)
    assert [one.op_type for one in read.graph.node] == ["Exp", "If"]
    inside = read.graph.node[1].attribute[0].g
    assert [one.output[0] for one in inside.node] == ["q", "r"]
    assert [one.op_type for one in read.functions[0].node] == ["Neg", "Abs"]


def test_nodes_in_a_circle(path: Path, refuses: Any) -> None:
    model = graph(
        [node("Add", "x b", "a", name="one"), node("Relu", "a", "b", name="two"), node("Abs", "a")],
        {"x": (BATCH, 8)},
    )
    path.write_bytes(model.SerializeToString())
    with refuses("circle", "'one' (Add)", str(path)):
        read_onnx(path)
