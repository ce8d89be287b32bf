"""Quantised operators: the file's own integers, to the last one, and gradients that pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tiny_onnx import BATCH, agree, gradient, graph, node, noise, run_ort, run_torch

from compd.onnx import to_module

X, Y = np.float32(0.05), np.float32(0.07)
TYPES = {np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8, np.int16: TensorProto.INT16}


def grid(*shape: int, kind: Any = np.uint8, seed: int = 0, most: int | None = None) -> np.ndarray:
    """Integers of a type; ``most`` keeps them small, where an int8 kernel would saturate."""
    info = np.iinfo(kind)
    low, high = (info.min, info.max) if most is None else (max(info.min, -most), most)
    return np.random.default_rng(seed).integers(low, high + 1, shape).astype(kind)


def exact(model: onnx.ModelProto, x: np.ndarray, *, steps: int = 0) -> None:
    """Integers agree with the runtime's, or differ by some steps."""
    (expected,), (got,) = run_ort(model, {"x": x}), run_torch(to_module(model), {"x": x})
    assert got.shape == expected.shape
    assert len(np.unique(expected)) > 2
    np.testing.assert_array_equal(got, np.rint(got))
    assert np.abs(got - expected.astype(np.float32)).max() <= steps


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int16, np.uint16])
def test_quantise_and_back(kind: Any) -> None:
    zero = np.array(7, dtype=kind)
    scale = np.float32(2.0**-6 if np.iinfo(kind).max < 256 else 2.0**-14)
    model = graph(
        [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z", "y")],
        {"x": (BATCH, 3, 4, 4)},
        constants={"s": np.array(scale), "z": zero},
        outputs=["q", "y"],
        types={"q": helper.np_dtype_to_tensor_dtype(np.dtype(kind))},
        opset=21,
    )
    x = noise(2, 3, 4, 4, scale=3)
    x[0, 0, 0] = scale * np.float32([0.5, 1.5, 2.5, -0.5])  # halves go to even
    agree(model, {"x": x}, atol=0, rtol=0)
    agree(model, {"x": run_ort(model, {"x": x})[1]}, atol=0, rtol=0)  # what is on the grid stays


def test_missing_zero_points_are_uint8_zeros() -> None:
    model = graph(
        [node("QuantizeLinear", "x s", "q"), node("DequantizeLinear", "q s", "y")],
        {"x": (BATCH, 3, 4, 4)},
        constants={"s": np.array(X)},
    )
    agree(model, {"x": noise(2, 3, 4, 4, scale=8)}, atol=0, rtol=0)


def test_quantisation_along_an_axis() -> None:
    scale, zero = np.float32([0.1, 0.02, 0.3]), np.int8([0, 5, -7])
    model = graph(
        [
            node("QuantizeLinear", "x s z", "q", axis=1),
            node("DequantizeLinear", "q s z", "y", axis=-3),
        ],
        {"x": (BATCH, 3, 4, 4)},
        constants={"s": scale, "z": zero},
    )
    agree(model, {"x": noise(2, 3, 4, 4, scale=3)}, atol=0, rtol=0)


def test_integers_may_be_pooled_and_moved_between_the_two() -> None:
    model = graph(
        [
            node("QuantizeLinear", "x s z", "q"),
            node("MaxPool", "q", "p", kernel_shape=[2, 2]),
            node("Transpose", "p", "t", perm=[0, 2, 3, 1]),
            node("Flatten", "t", "f"),
            node("DequantizeLinear", "f s z", "y"),
        ],
        {"x": (BATCH, 3, 4, 4)},
        constants={"s": np.array(X), "z": np.int8([3]).reshape(())},
    )
    module = agree(model, {"x": noise(2, 3, 4, 4, scale=3)}, atol=0, rtol=0)
    x = torch.from_numpy(noise(2, 3, 4, 4))
    assert bool((gradient(module, x) != 0).any())


@pytest.mark.parametrize("channels", [1, 4])
def test_stored_integers_become_the_weights_that_they_stand_for(channels: int) -> None:
    w = grid(4, 3, 3, 3, kind=np.int8)
    scale = np.abs(noise(channels)) * np.float32(0.01) + np.float32(0.001)
    bias = np.random.default_rng(1).integers(-(2**30), 2**30, 4).astype(np.int32)
    constants = {
        "w": w,
        "ws": scale if channels > 1 else scale[0],
        "wz": np.zeros(scale.shape, np.int8),
        "b": bias,
        "bs": np.full(4, 2**-30, np.float32),
        "bz": np.zeros(4, np.int32),
    }
    if channels == 1:
        constants["wz"] = np.array(0, np.int8)
    model = graph(
        [
            node("DequantizeLinear", "w ws wz", "wf", axis=0),
            node("DequantizeLinear", "b bs bz", "bf", axis=0),
            node("Conv", "x wf bf"),
        ],
        {"x": (BATCH, 3, 5, 5)},
        constants={k: np.asarray(v) for k, v in constants.items()},
    )
    module = agree(model, {"x": noise(2, 3, 5, 5)})
    buffers = dict(module.named_buffers())
    assert set(buffers) == {"wf", "bf"}
    broad = np.broadcast_to(scale.reshape(-1, 1, 1, 1), w.shape)
    np.testing.assert_array_equal(buffers["wf"].numpy(), w.astype(np.float32) * broad)


def test_four_bit_weights_in_blocks() -> None:
    values = np.random.default_rng(0).integers(-8, 8, (4, 6)).astype(np.int8)
    w = helper.make_tensor("w", TensorProto.INT4, (4, 6), values.flatten().tolist())
    scale = np.abs(noise(4, 3)) + np.float32(0.1)
    model = graph(
        [
            node("DequantizeLinear", "w s", "wf", axis=1, block_size=2),
            node("Gemm", "x wf", transB=1),
        ],
        {"x": (BATCH, 6)},
        constants={"s": scale},
        opset=21,
    )
    model.graph.initializer.append(w)
    agree(model, {"x": noise(2, 6)})


def test_gradients_pass_where_nothing_is_clipped() -> None:
    model = graph(
        [
            node("QuantizeLinear", "x s z", "q"),
            node("DequantizeLinear", "q s z", "d"),
            node("MatMul", "d w", "m"),
            node("QuantizeLinear", "m s z", "a"),  # the answers, which may be cut off
            node("DequantizeLinear", "a s z", "y"),
        ],
        {"x": (BATCH, 6)},
        constants={
            "s": np.array(0.25, np.float32),
            "z": np.array(-3, np.int8),
            "w": np.eye(6, dtype=np.float32) * 2,
        },
    )
    # The grid reaches from (-128 + 3) / 4 to (127 + 3) / 4.
    x = torch.tensor([[0.1, -31.2, -31.3, 32.4, 32.6, 1e30]])
    module = to_module(model)
    assert torch.equal(gradient(module, x), 2 * torch.tensor([[1.0, 1, 0, 1, 0, 0]]))
    assert float(module(x)[0, 5]) == 32.5


Q = {
    "xs": np.array(X),
    "xz": np.array(120, np.uint8),
    "ys": np.array(Y),
    "yz": np.array(90, np.uint8),
}


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("bias", [False, True])
def test_qlinear_conv(channels: int, bias: bool) -> None:
    scale = np.abs(noise(channels)) * np.float32(0.02) + np.float32(0.001)
    w = {
        "w": grid(4, 3, 3, 3, kind=np.int8, most=63),
        "ws": scale,
        "wz": np.zeros(channels, np.int8),
    }
    if channels == 1:
        w |= {"ws": scale.reshape(()), "wz": np.array(0, np.int8)}
    b = {"b": grid(4, kind=np.int16).astype(np.int32)} if bias else {}
    names = "x xs xz w ws wz ys yz" + (" b" if bias else "")
    model = graph(
        [node("QLinearConv", names, pads=[1, 0, 1, 2], strides=[2, 1])],
        {"x": (BATCH, 3, 6, 6)},
        constants={**Q, **w, **b},
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    exact(model, grid(2, 3, 6, 6))


@pytest.mark.parametrize("columns", [1, 5])
def test_qlinear_matmul(columns: int) -> None:
    scale = np.abs(noise(columns)) * np.float32(0.02) + np.float32(0.001)
    w = {"w": grid(8, 5, kind=np.int8, most=63), "ws": scale, "wz": np.zeros(columns, np.int8)}
    model = graph(
        [node("QLinearMatMul", "x xs xz w ws wz ys yz")],
        {"x": (BATCH, 8)},
        constants={**Q, **w},
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    exact(model, grid(3, 8))


@pytest.mark.parametrize("ends", ["ys yz", ""])
@pytest.mark.parametrize("turned", [0, 1])
def test_qgemm(ends: str, turned: int) -> None:
    scale = np.abs(noise(5)) * np.float32(0.02) + np.float32(0.001)
    w = grid(8, 5, kind=np.int8, most=63)
    constants = {
        **(Q if ends else {k: Q[k] for k in ("xs", "xz")}),
        "w": w.T.copy() if turned else w,
        "ws": scale,
        "wz": np.zeros(5, np.int8),
        "c": grid(5, kind=np.int16).astype(np.int32),
    }
    model = graph(
        [node("com.microsoft.QGemm", f"x xs xz w ws wz c {ends}", transB=turned, alpha=0.5)],
        {"x": (BATCH, 8)},
        constants=constants,
        types={"x": TensorProto.UINT8} | ({"y": TensorProto.UINT8} if ends else {}),
    )
    if ends:
        exact(model, grid(3, 8))
    else:
        agree(model, {"x": grid(3, 8)})


UNARY: list[tuple[str, dict[str, Any]]] = [
    ("QLinearGlobalAveragePool", {}),
    ("QLinearAveragePool", {"kernel_shape": [3, 3]}),
    ("QLinearAveragePool", {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("QLinearLeakyRelu", {"alpha": 0.1}),
    ("QLinearSigmoid", {}),
    ("QLinearSoftmax", {"axis": -1, "opset": 13}),
    ("QLinearSoftmax", {"axis": 1, "opset": 11}),
]


@pytest.mark.parametrize(("kind", "attributes"), UNARY, ids=str)
def test_one_quantised_tensor(kind: str, attributes: dict[str, Any]) -> None:
    constants = dict(Q)
    if "So" in kind or "Si" in kind:
        constants |= {"ys": np.array(1 / 256, np.float32), "yz": np.array(0, np.uint8)}
    model = graph(
        [node(f"com.microsoft.{kind}", "x xs xz ys yz", **attributes)],
        {"x": (BATCH, 3, 6, 6)},
        constants=constants,
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    exact(model, grid(2, 3, 6, 6), steps=1)  # the runtime looks results up, or rounds twice


@pytest.mark.parametrize("kind", ["QLinearAdd", "QLinearMul"])
def test_two_quantised_tensors(kind: str) -> None:
    constants = {
        **Q,
        "c": grid(1, 3, 6, 6, seed=1),
        "cs": np.array(0.03, np.float32),
        "cz": np.array(4, np.uint8),
    }
    model = graph(
        [node(f"com.microsoft.{kind}", "x xs xz c cs cz ys yz")],
        {"x": (BATCH, 3, 6, 6)},
        constants=constants,
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    exact(model, grid(2, 3, 6, 6), steps=1)


def test_qlinear_concat() -> None:
    constants = {**Q, "cs": np.array(0.03, np.float32), "cz": np.array(4, np.uint8)}
    model = graph(
        [node("com.microsoft.QLinearConcat", "ys yz x xs xz x cs cz", axis=1)],
        {"x": (BATCH, 3, 6, 6)},
        constants=constants,
        types={"x": TensorProto.UINT8, "y": TensorProto.UINT8},
    )
    exact(model, grid(2, 3, 6, 6), steps=1)


def test_dynamic_quantisation() -> None:
    constants = {
        "w": grid(8, 5, kind=np.int8, most=63),
        "wz": np.array(0, np.int8),
        "ws": np.array(0.01, np.float32),
    }
    model = graph(
        [
            node("DynamicQuantizeLinear", "x", "q s z"),
            node("MatMulInteger", "q w z wz", "i"),
            node("Cast", "i", "f", to=TensorProto.FLOAT),
            node("Mul", "s ws", "t"),
            node("Mul", "f t"),
        ],
        {"x": (BATCH, 8)},
        constants=constants,
    )
    module = agree(model, {"x": noise(3, 8)})
    assert bool((gradient(module, torch.from_numpy(noise(3, 8))) != 0).any())


def test_conv_integer() -> None:
    constants = {
        "w": grid(4, 3, 3, 3, most=120),
        "xz": np.array(120, np.uint8),
        "wz": np.array(60, np.uint8),
    }
    model = graph(
        [node("ConvInteger", "x w xz wz", pads=[1, 1, 1, 1])],
        {"x": (BATCH, 3, 6, 6)},
        constants=constants,
        types={"x": TensorProto.UINT8, "y": TensorProto.INT32},
    )
    exact(model, grid(2, 3, 6, 6))


def test_zero_points_from_constant_nodes() -> None:
    z = numpy_helper.from_array(np.array(-3, np.float32))
    s = numpy_helper.from_array(np.array(X))
    model = graph(
        [
            node("Constant", "", "s", value=s),
            node("Constant", "", "zf", value=z),
            node("Cast", "zf", "z", to=TensorProto.INT8),
            node("QuantizeLinear", "x s z", "q"),
            node("DequantizeLinear", "q s z", "y"),
        ],
        {"x": (BATCH, 6)},
    )
    agree(model, {"x": noise(2, 6, scale=5)}, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("bits", "zeros"),
    [(bits, zeros) for bits in (2, 4, 8) for zeros in ("none", "packed")]
    + [(2, "real"), (4, "real")],
)
@pytest.mark.parametrize("depth", [32, 40])
def test_weights_of_few_bits_in_bytes(bits: int, zeros: str, depth: int) -> None:
    rows, size = 6, 16
    blocks = -(-depth // size)
    draw = np.random.default_rng(bits)
    constants = {
        "w": draw.integers(0, 256, (rows, blocks, size * bits // 8)).astype(np.uint8),
        "s": (draw.random(rows * blocks) * 0.1).astype(np.float32),
    }
    if zeros == "packed":
        width = -(-blocks * bits // 8)
        constants["z"] = draw.integers(0, 256, rows * width).astype(np.uint8)
    elif zeros == "real":
        constants["z"] = draw.integers(0, 4, rows * blocks).astype(np.float32)
    constants["b"] = noise(rows)
    given = f"x w s {'-' if zeros == 'none' else 'z'} - b"
    attributes = {"K": depth, "N": rows, "bits": bits, "block_size": size}
    model = graph(
        [node("com.microsoft.MatMulNBits", given, **attributes)],
        {"x": (BATCH, depth)},
        constants=constants,
    )
    module = agree(model, {"x": noise(3, depth)}, atol=1e-4, rtol=1e-4)
    kinds = [one.op for one in module.graph.nodes]
    assert kinds.count("call_function") <= 2  # the weight is unpacked once, not in each call
    assert bool((gradient(module, torch.from_numpy(noise(3, depth))) != 0).any())


def test_activations_of_eight_bits_beside_weights_of_four() -> None:
    draw = np.random.default_rng(0)
    constants = {
        "w": draw.integers(0, 256, (6, 2, 16)).astype(np.uint8),
        "s": (draw.random(12) * 0.1).astype(np.float32),
    }
    given = {"K": 64, "N": 6, "bits": 4, "block_size": 32, "accuracy_level": 4}
    model = graph(
        [node("com.microsoft.MatMulNBits", "x w s", **given)],
        {"x": (BATCH, 64)},
        constants=constants,
    )
    agree(model, {"x": noise(3, 64)}, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("columns", [False, True])
def test_dynamic_matmul(columns: bool) -> None:
    constants = {
        "w": grid(8, 5, most=120),
        "s": np.full(5 if columns else 1, 0.02, np.float32)[() if columns else 0],
        "z": np.full(5, 60, np.uint8) if columns else np.array(60, np.uint8),
        "b": noise(5),
    }
    model = graph(
        [node("com.microsoft.DynamicQuantizeMatMul", "x w s z b")],
        {"x": (BATCH, 8)},
        constants={name: np.asarray(value) for name, value in constants.items()},
    )
    module = agree(model, {"x": noise(3, 8)}, atol=1e-4, rtol=1e-4)
    assert bool((gradient(module, torch.from_numpy(noise(3, 8))) != 0).any())


def test_matmul_to_float() -> None:
    constants = {
        "w": grid(8, 5, kind=np.int8, most=63),
        "as": np.array(0.02, np.float32),
        "bs": noise(5) ** 2,
        "az": np.array(7, np.uint8),
        "bias": noise(5),
    }
    model = graph(
        [node("com.microsoft.MatMulIntegerToFloat", "x w as bs az - bias")],
        {"x": (BATCH, 8)},
        constants=constants,
        types={"x": TensorProto.UINT8},
    )
    agree(model, {"x": grid(3, 8)}, atol=1e-4, rtol=1e-4)


def test_attention_of_integers() -> None:
    constants = {
        "w": grid(8, 24, kind=np.int8, most=63),
        "b": noise(24),
        "xs": np.array(0.02, np.float32),
        "ws": np.array(0.01, np.float32),
        "xz": np.array(100, np.uint8),
        "wz": np.array(0, np.int8),
    }
    model = graph(
        [node("com.microsoft.QAttention", "x w b xs ws - xz wz", num_heads=2)],
        {"x": (BATCH, 5, 8)},
        constants=constants,
        types={"x": TensorProto.UINT8},
    )
    agree(model, {"x": grid(3, 5, 8)}, atol=1e-4, rtol=1e-4)
