"""Whole graphs: sizes worked out at conversion, batches of any size, gradients, and refusals."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from tiny_onnx import BATCH, agree, gradient, graph, node, noise, run_ort, run_torch

from compd.models import model_hash
from compd.onnx import to_module

W = noise(4, 3, 3, 3, seed=1)


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def flattened(first: str | int, target: np.ndarray) -> onnx.ModelProto:
    """Convolution, reshape to a constant shape, linear layer."""
    return graph(
        [
            node("Conv", "x w", "h"),
            node("Relu", "h", "r"),
            node("Reshape", "r t", "f"),
            node("Gemm", "f v", transB=1),
        ],
        {"x": (first, 3, 6, 6)},
        constants={"w": W, "t": target, "v": noise(5, 64)},
    )


@pytest.mark.parametrize("target", [(1, -1), (1, 64), (-1, 64), (0, -1)], ids=str)
def test_a_file_for_one_image_takes_a_batch(target: tuple[int, ...]) -> None:
    model = flattened(1, ints(*target))
    module = agree(model, {"x": noise(1, 3, 6, 6)})
    batch = noise(4, 3, 6, 6)
    each = [run_ort(model, {"x": batch[i : i + 1]})[0] for i in range(4)]
    np.testing.assert_allclose(run_torch(module, {"x": batch})[0], np.concatenate(each), atol=1e-5)


def test_a_file_for_a_batch_of_two_takes_others() -> None:
    model = flattened(2, ints(2, 64))
    module = agree(model, {"x": noise(2, 3, 6, 6)})
    assert run_torch(module, {"x": noise(5, 3, 6, 6)})[0].shape == (5, 5)


def test_a_shape_that_only_fits_one_image() -> None:
    module = agree(flattened(BATCH, ints(1, 64)), {"x": noise(1, 3, 6, 6)})
    assert run_torch(module, {"x": noise(5, 3, 6, 6)})[0].shape == (5, 5)


def test_windows_are_cut_for_every_image_of_a_batch() -> None:
    nodes = [
        node("Reshape", "x a", "h"),
        node("Transpose", "h", "t", perm=[0, 1, 3, 2, 4]),
        node("Reshape", "t b", "y"),
    ]
    model = graph(nodes, {"x": (1, 4, 6)}, constants={"a": ints(1, 2, 2, 2, 3), "b": ints(4, 2, 3)})
    module = agree(model, {"x": noise(1, 4, 6)})
    batch = noise(3, 4, 6)
    each = [run_ort(model, {"x": batch[i : i + 1]})[0] for i in range(3)]
    np.testing.assert_array_equal(run_torch(module, {"x": batch})[0], np.concatenate(each))


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_shape_arithmetic_is_done_at_conversion(batch: int) -> None:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Gather", "s one", "c"),
        node("Cast", "c", "cf", to=TensorProto.FLOAT),
        node("Sqrt", "cf", "root"),
        node("Mul", "c two", "c2"),
        node("Div", "c2 two", "c3"),
        node("Unsqueeze", "n first", "nu"),
        node("Unsqueeze", "c3 first", "cu"),
        node("Concat", "nu cu minus", "target", axis=0),
        node("Reshape", "x target", "r"),
        node("Div", "r root", "scaled"),
        node("Slice", "s first end", "batch"),
        node("Concat", "batch one_one", "where", axis=0),
        node("ConstantOfShape", "where", "ones", value=helper.make_tensor("v", 1, [1], [2.5])),
        node("Expand", "token where2", "cls"),
        node("Concat", "scaled cls", "joined", axis=2),
        node("Add", "joined ones", "y"),
    ]
    nodes.insert(-3, node("Concat", "batch three one_", "where2", axis=0))
    constants = {
        "zero": np.array(0),
        "one": np.array(1),
        "two": np.array(2),
        "first": ints(0),
        "end": ints(1),
        "minus": ints(-1),
        "one_one": ints(1, 1),
        "three": ints(3),
        "one_": ints(1),
        "token": noise(1, 3, 1),
    }
    model = graph(nodes, {"x": (BATCH, 3, 4, 4)}, constants=constants)
    agree(model, {"x": noise(batch, 3, 4, 4)})


@pytest.mark.parametrize("batch", [1, 3])
def test_a_token_for_one_image_joins_a_batch(batch: int) -> None:
    model = graph(
        [node("Concat", "t x", axis=1)], {"x": (1, 3, 4)}, constants={"t": noise(1, 1, 4)}
    )
    agree(model, {"x": noise(1, 3, 4)})
    assert run_torch(to_module(model), {"x": noise(batch, 3, 4)})[0].shape == (batch, 4, 4)


def test_sizes_that_the_file_leaves_open(refuses: Any) -> None:
    model = graph([node("Relu", "x")], {"x": (BATCH, 3, "height", "width")})
    with refuses("input='x'", "(None, 3, None, None)", "image's shape"):
        to_module(model)
    assert to_module(model, shape=(3, 8, 8))(torch.rand(2, 3, 8, 8)).shape == (2, 3, 8, 8)


def test_several_inputs_and_outputs() -> None:
    model = graph(
        [node("Add", "a b", "y"), node("Sub", "a b", "z")],
        {"a": (BATCH, 3), "b": (BATCH, 3)},
        outputs=["y", "z"],
    )
    agree(model, {"a": noise(2, 3), "b": noise(2, 3, seed=1)})


def test_choices() -> None:
    nodes = [
        node("Less", "x c", "l"),
        node("Greater", "x c", "g"),
        node("Not", "g", "n"),
        node("Equal", "x c", "e"),
        node("Cast", "l", "lf", to=1),
        node("Cast", "x", "i", to=6),
        node("Cast", "i", "if", to=1),
        node("Cast", "x", "xb", to=9),
        node("Where", "n x c", "a"),
        node("Where", "e a lf", "b"),
        node("Where", "xb b if", "d"),
        node("Add", "d if", "y"),
    ]
    x = noise(2, 6, scale=3)
    x[0, 0] = 0
    agree(graph(nodes, {"x": (BATCH, 6)}, constants={"c": noise(6)}), {"x": x})


def test_a_function_of_the_file_is_unfolded() -> None:
    function = helper.make_function(
        "local", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    model = graph([node("local.Twice", "x")], {"x": (BATCH, 3)})
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.functions.append(function)
    agree(model, {"x": noise(2, 3)})


def smooth() -> onnx.ModelProto:
    return graph(
        [
            node("Conv", "x w", "h", pads=[1, 1, 1, 1]),
            node("HardSwish", "h", "s"),
            node("GlobalAveragePool", "s", "g"),
            node("Flatten", "g", "f"),
            node("Gemm", "f v", "l", transB=1),
            node("Tanh", "l"),
        ],
        {"x": (BATCH, 3, 5, 5)},
        constants={"w": W, "v": noise(2, 4)},
    )


def test_gradients_are_those_of_small_differences() -> None:
    module = to_module(smooth()).double()
    x = torch.from_numpy(noise(2, 3, 5, 5)).double().requires_grad_()
    assert torch.autograd.gradcheck(module, (x,), eps=1e-5, atol=1e-4, fast_mode=True)


def test_the_module_is_like_any_other() -> None:
    module = to_module(smooth())
    again = to_module(smooth())
    assert set(module.state_dict()) == {"w", "v"}
    assert not module.training
    assert model_hash(module) == model_hash(again)
    again.w.mul_(2)
    assert model_hash(module) != model_hash(again)
    x = torch.from_numpy(noise(2, 3, 5, 5))
    assert torch.equal(copy.deepcopy(module)(x), module(x))
    assert bool(gradient(module, x).any())


def test_names_that_python_does_not_take() -> None:
    constants = {"training": noise(3), "a.b/c:0": noise(3), "a_b_c_0": noise(3), "0": noise(3)}
    kinds = ("Add", "Mul", "Sub", "Add")
    nodes, last = [], "lambda"
    for i, (kind, name) in enumerate(zip(kinds, constants, strict=True)):
        nodes.append(node(kind, f"{last} {name}", f"h{i}"))
        last = f"h{i}"
    model = graph(nodes, {"lambda": (BATCH, 3)}, constants=constants, outputs=[last])
    module = agree(model, {"lambda": noise(2, 3)})
    assert len(module.state_dict()) == 4


def test_conversion_leaves_the_model_unchanged() -> None:
    model = smooth()
    before = model.SerializeToString()
    to_module(model)
    assert model.SerializeToString() == before


def model_of(*nodes: onnx.NodeProto, shape: tuple[int | str, ...] = (BATCH, 4)) -> onnx.ModelProto:
    return graph(list(nodes), {"x": shape}, constants={"c": noise(3), "big": ints(2**20, 2**20)})


@pytest.mark.parametrize(
    ("model", "culprits"),
    [
        (
            model_of(node("Det", "x", name="odd"), shape=(BATCH, 4, 4)),
            ["'Det'", "'odd'", "gradients are not available"],
        ),
        (model_of(node("com.microsoft.FusedConv", "x c")), ["com.microsoft.FusedConv"]),
        (model_of(node("Add", "x c", name="sum")), ["'sum' (Add)", "(None, 4), (3,)"]),
        (model_of(node("Add", "x nothing")), ["'nothing'"]),
        (model_of(node("Expand", "c2 big"), node("Relu", "x", "c2")), ["'c2'"]),
        (model_of(node("Expand", "one big", name="bomb")), ["'one'"]),
        (model_of(node("ConstantOfShape", "big", name="bomb")), ["'bomb'", "gigabyte"]),
        (model_of(node("Reshape", "x x")), ["computed from the image"]),
        (model_of(node("Relu", "x", "h")), ["output 'y'"]),
        (model_of(node("Squeeze", "x", axes=[0])), ["dimension 0", "not 1 for every batch"]),
        (model_of(node("Constant", "", "t", value_string="a"), node("Relu", "x")), ["Constant"]),
    ],
    ids=[
        "unknown",
        "fused",
        "shapes",
        "absent",
        "order",
        "unheard",
        "bomb",
        "dynamic",
        "output",
        "batch",
        "string",
    ],
)
def test_what_cannot_be_converted(
    model: onnx.ModelProto, culprits: list[str], refuses: Any
) -> None:
    with refuses(*culprits):
        to_module(model)


def test_loops_are_refused(refuses: Any) -> None:
    body = helper.make_graph([], "body", [], [])
    model = graph(
        [helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body)],
        {"x": (BATCH, 3)},
        constants={"c": np.array(True)},
    )
    with refuses("'If'"):
        to_module(model)


@pytest.mark.parametrize("inner", [(3, 1, 4), (3, 1, 2, 2)], ids=str)
def test_a_batch_that_is_not_the_first_dimension(inner: tuple[int, ...]) -> None:
    back = [1, 0, *range(2, len(inner))]
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Reshape", "t s", "r"),
        node("Transpose", "r", "y", perm=back),
    ]
    model = graph(nodes, {"x": (1, 3, 4)}, constants={"s": ints(*inner)})
    module = agree(model, {"x": noise(1, 3, 4)})
    batch = noise(5, 3, 4)
    each = [run_ort(model, {"x": batch[i : i + 1]})[0] for i in range(5)]
    np.testing.assert_array_equal(run_torch(module, {"x": batch})[0], np.concatenate(each))


def test_images_that_would_mix_are_refused(refuses: Any) -> None:
    # Rows of all images lie side by side, and nothing in the sizes says whose they are.
    nodes = [
        node("Transpose", "x", "t", perm=[1, 0, 2]),
        node("Reshape", "t flat", "f"),
        node("Reshape", "f s", "r"),
        node("ReduceMean", "r", "m", axes=[1]),
    ]
    constants = {"flat": ints(3, 4), "s": ints(1, 3, 4)}
    model = graph(nodes, {"x": (1, 3, 4)}, constants=constants, outputs=["m"])
    with refuses("each image", "batches of 1", "dynamic batch"):
        to_module(model)
