"""Each operator against ONNX Runtime, at two batch sizes and traced anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from tiny_onnx import BATCH, agree, graph, node, noise

from compd.errors import InputError
from compd.onnx import to_module

IMAGE = (3, 9, 8)


@dataclass(frozen=True)
class Case:
    """One node: its constant inputs by name, and the shape of an image without the batch."""

    kind: str
    inputs: str = "x"
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = IMAGE
    opset: int = 17
    positive: bool = False
    outputs: str = "y"

    def __str__(self) -> str:
        what = " ".join(f"{key}={value}" for key, value in self.attributes.items())
        return f"{self.kind}-{self.opset} {self.inputs} {what}"


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def number(value: float) -> np.ndarray:
    return np.array(value, dtype=np.float32)


def conv(w: np.ndarray, *, bias: bool = True, **attributes: Any) -> Case:
    constants = {"w": w} | ({"b": noise(w.shape[0], seed=2)} if bias else {})
    return Case("Conv", "x w b" if bias else "x w", constants, attributes)


W3 = noise(4, 3, 3, 3, seed=1)
CONVOLUTIONS = [
    conv(W3),
    conv(W3, bias=False, pads=[1, 1, 1, 1]),
    conv(W3, strides=[2, 3]),
    conv(W3, pads=[0, 1, 2, 3], strides=[2, 2]),
    conv(W3, dilations=[2, 2], pads=[2, 2, 2, 2]),
    conv(noise(6, 1, 3, 3), group=3, pads=[1, 1, 1, 1]),
    conv(noise(3, 1, 5, 5), group=3),
    conv(W3, auto_pad="SAME_UPPER", strides=[2, 2]),
    conv(W3, auto_pad="VALID"),
    conv(noise(4, 3, 2, 2), auto_pad="SAME_UPPER"),
    conv(noise(4, 3, 2, 2), auto_pad="SAME_LOWER"),
    conv(noise(4, 3, 1, 1), kernel_shape=[1, 1]),
    Case("Conv", "x w", {"w": noise(4, 3, 3)}, {"pads": [1, 1]}, shape=(3, 9)),
    Case("Conv", "x w", {"w": noise(4, 3, 2, 2, 2)}, {}, shape=(3, 4, 4, 4)),
    Case(
        "ConvTranspose",
        "x w b",
        {"w": noise(3, 4, 3, 3), "b": noise(4)},
        {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]},
    ),
]

POOLS = [
    Case(kind, attributes={"kernel_shape": kernel, **attributes}, opset=22)
    for kind, extra in (("MaxPool", [{}]), ("AveragePool", [{}, {"count_include_pad": 1}]))
    for more in extra
    for kernel, given in (
        ([2, 2], {"strides": [2, 2]}),
        ([3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ([3, 2], {}),
        ([3, 3], {"strides": [2, 2], "ceil_mode": 1}),
        ([3, 3], {"strides": [3, 3], "ceil_mode": 1, "pads": [1, 1, 1, 1]}),
        ([2, 2], {"strides": [2, 2], "ceil_mode": 1, "pads": [0, 0, 1, 1]}),
        ([3, 3], {"strides": [2, 2], "pads": [0, 1, 1, 0]}),
        ([3, 3], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ([2, 2], {"auto_pad": "SAME_LOWER"}),
    )
    for attributes in ({**given, **more},)
] + [
    Case("MaxPool", attributes={"kernel_shape": [2, 2], "dilations": [2, 2]}),
    Case("GlobalAveragePool"),
    Case("GlobalMaxPool"),
]

ELEMENTS = [
    Case(kind)
    for kind in (
        "Relu",
        "LeakyRelu",
        "Elu",
        "HardSigmoid",
        "HardSwish",
        "Sigmoid",
        "Tanh",
        "Erf",
        "Softplus",
        "Neg",
        "Exp",
        "Abs",
        "Identity",
        "Floor",
        "Ceil",
        "Selu",
        "Celu",
        "ThresholdedRelu",
        "Softsign",
        "Round",
        "Sign",
        "Sin",
        "Cos",
        "com.microsoft.Gelu",
        "com.microsoft.FastGelu",
        "com.microsoft.QuickGelu",
    )
] + [
    Case("Selu", attributes={"alpha": 2.0, "gamma": 1.5}),
    Case("Celu", attributes={"alpha": 0.5}),
    Case("ThresholdedRelu", attributes={"alpha": 0.3}),
    Case("com.microsoft.QuickGelu", attributes={"alpha": 1.0}),
    Case("com.microsoft.FastGelu", "x b", {"b": noise(8)}),
    Case("com.microsoft.BiasGelu", "x b", {"b": noise(8)}),
    Case("CumSum", "x a", {"a": np.array(1)}),
    Case("CumSum", "x a", {"a": np.array(-1)}, {"exclusive": 1}),
    Case("CumSum", "x a", {"a": np.array(2)}, {"exclusive": 1, "reverse": 1}),
    Case("LeakyRelu", attributes={"alpha": 0.3}),
    Case("Elu", attributes={"alpha": 0.5}),
    Case("HardSigmoid", attributes={"alpha": 0.3, "beta": 0.4}),
    Case("Gelu", opset=20),
    Case("Gelu", attributes={"approximate": "tanh"}, opset=20),
    Case("Mish", opset=18),
    Case("PRelu", "x s", {"s": noise(3, 1, 1)}),
    Case("Clip", attributes={"min": 0.0, "max": 0.5}, opset=6),
    Case("Clip", opset=6),
    Case("Clip", "x low high", {"low": number(0), "high": number(0.5)}),
    Case("Clip", "x - high", {"high": number(0.5)}),
    Case("Clip", "x low", {"low": number(0)}),
    *(Case(kind, positive=True) for kind in ("Sqrt", "Log", "Reciprocal")),
    *(Case(kind, "x c", {"c": noise(3, 1, 1)}) for kind in ("Add", "Sub", "Mul", "Div")),
    *(Case(kind, "x c x", {"c": noise(3, 1, 1)}) for kind in ("Min", "Max", "Sum", "Mean")),
    Case("Pow", "x c", {"c": number(2)}),
    Case("Pow", "x c", {"c": noise(3, 1, 1)}, positive=True),
    Case("Dropout"),
    Case("Cast", attributes={"to": TensorProto.FLOAT}),
]

NORMS = [
    Case(
        "BatchNormalization",
        "x s b m v",
        {"s": noise(3), "b": noise(3, seed=1), "m": noise(3, seed=2), "v": noise(3) ** 2},
        {"epsilon": 1e-3},
    ),
    Case("InstanceNormalization", "x s b", {"s": noise(3), "b": noise(3, seed=1)}),
    Case(
        "GroupNormalization",
        "x s b",
        {"s": noise(4), "b": noise(4, seed=1)},
        {"num_groups": 2},
        shape=(4, 3, 3),
        opset=21,
    ),
    Case("LayerNormalization", "x s b", {"s": noise(8), "b": noise(8, seed=1)}),
    Case("LayerNormalization", "x s", {"s": noise(9, 8)}, {"axis": 2, "epsilon": 1e-3}),
    Case("RMSNormalization", "x s", {"s": noise(8)}, opset=23),
    Case("SimplifiedLayerNormalization", "x s", {"s": noise(8)}, {"epsilon": 1e-3}),
    Case("LpNormalization", attributes={"axis": 1}),
    Case("LpNormalization", attributes={"axis": -1, "p": 1}),
    Case("LRN", attributes={"size": 3, "alpha": 0.1}, shape=(6, 4, 4)),
    Case("LRN", attributes={"size": 5, "beta": 0.5, "bias": 2.0}, shape=(6, 4, 4)),
    *(
        Case(kind, attributes=attributes, opset=opset)
        for kind in ("Softmax", "LogSoftmax")
        for opset, attributes in ((17, {}), (17, {"axis": 1}), (11, {}), (11, {"axis": 3}))
    ),
]

MATRICES = [
    Case("Gemm", "x w b", {"w": noise(5, 4), "b": noise(4)}, shape=(5,)),
    Case("Gemm", "x w b", {"w": noise(4, 5), "b": noise(4)}, {"transB": 1}, shape=(5,)),
    Case(
        "Gemm",
        "x w b",
        {"w": noise(4, 5), "b": noise(1, 4)},
        {"transB": 1, "alpha": 0.5, "beta": 2.0},
        shape=(5,),
    ),
    Case("Gemm", "x w", {"w": noise(4, 5)}, {"transB": 1}, shape=(5,)),
    Case("MatMul", "x w", {"w": noise(5, 4)}, shape=(5,)),
    Case("MatMul", "x w", {"w": noise(8, 4)}),
    Case("Einsum", "x w", {"w": noise(8, 4)}, {"equation": "nchw, wk -> nkch"}),
    Case("Einsum", "x x", attributes={"equation": "...ij,...kj->...ik"}),
]

REDUCTIONS = [
    case
    for kind in (
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceL1",
        "ReduceL2",
        "ReduceProd",
        "ReduceSumSquare",
        "ReduceLogSumExp",
    )
    for case in (
        Case(kind, attributes={"axes": [2, 3], "keepdims": 0}, opset=11),
        Case(kind, attributes={"axes": [-1]}, opset=11),
        Case(kind, opset=11),
        Case(kind, "x a", {"a": ints(2, 3)}, {"keepdims": 0}, opset=18),
        Case(kind, attributes={"noop_with_empty_axes": 1}, opset=18),
    )
]

LAYOUT = [
    Case("Concat", "x x", attributes={"axis": 1}),
    Case("Concat", "x x", attributes={"axis": -1}),
    Case("Split", "x", attributes={"axis": 1}, outputs="y z w", opset=11),
    Case("Split", "x", attributes={"axis": 2, "split": [4, 5]}, outputs="y z", opset=11),
    Case("Split", "x s", {"s": ints(2, 6)}, {"axis": 3}, outputs="y z"),
    Case("Split", "x", attributes={"axis": 2, "num_outputs": 2}, outputs="y z", opset=18),
    Case("Slice", "x", attributes={"starts": [0, 1], "ends": [2, -1], "axes": [1, 2]}, opset=9),
    Case("Slice", "x s e", {"s": ints(0, 1), "e": ints(2**62, 2)}),
    Case("Slice", "x s e a", {"s": ints(-3), "e": ints(2**63 - 1), "a": ints(3)}),
    Case("Slice", "x s e a t", {"s": ints(1), "e": ints(9), "a": ints(2), "t": ints(3)}),
    Case("Slice", "x s e a t", {"s": ints(-1), "e": ints(-(2**62)), "a": ints(1), "t": ints(-1)}),
    Case("Slice", "x s e a t", {"s": ints(6), "e": ints(1), "a": ints(3), "t": ints(-2)}),
    Case("Gather", "x i", {"i": ints(2, 0, -1)}, {"axis": 1}),
    Case("Gather", "x i", {"i": np.array(-1)}, {"axis": 2}),
    Case("Gather", "x i", {"i": np.array([[0, 1], [2, 2]])}, {"axis": 1}),
    *(Case("Flatten", attributes={"axis": axis}) for axis in (0, 1, 2, -1, 4)),
    Case("Reshape", "x s", {"s": ints(-1, 27, 8)}),
    Case("Reshape", "x s", {"s": ints(0, 0, -1)}),
    Case("Reshape", "x s", {"s": ints(-1, 4)}),
    Case("Transpose", attributes={"perm": [0, 2, 3, 1]}),
    Case("Transpose"),
    Case("Squeeze", attributes={"axes": [1]}, shape=(1, 4), opset=11),
    Case("Squeeze", "x a", {"a": ints(-1, 1)}, shape=(1, 4, 1)),
    Case("Unsqueeze", attributes={"axes": [1, 3]}, opset=11),
    Case("Unsqueeze", "x a", {"a": ints(-1)}),
    Case("Unsqueeze", "x a", {"a": ints(1, -1)}),
    Case("Expand", "x s", {"s": ints(3, 1, 8)}),
    Case("Expand", "x s", {"s": ints(3, 1, 4, 1)}, shape=(4, 1)),
    Case("Tile", "x s", {"s": ints(1, 2, 1, 3)}),
    Case("Pad", attributes={"pads": [0, 0, 1, 2, 0, 0, 0, 3], "value": 0.5}, opset=10),
    Case("Pad", "x p v", {"p": ints(0, 1, 1, 2, 0, 0, 0, 3), "v": number(-1)}),
    Case("Pad", "x p", {"p": ints(0, 0, 1, 2, 0, 0, 0, 3)}, {"mode": "reflect"}),
    Case("Pad", "x p", {"p": ints(0, 0, 1, 2, 0, 0, 0, 3)}, {"mode": "edge"}),
    Case("Pad", "x p - a", {"p": ints(1, 2), "a": ints(-1)}, opset=18),
    Case("Pad", "x p", {"p": ints(0).repeat(8)}),
    Case("Trilu"),
    Case("Trilu", "x k", {"k": np.array(-2)}, {"upper": 0}),
    Case("Trilu", "x k", {"k": np.array(1)}),
    *(
        Case("DepthToSpace", attributes={"blocksize": 2, "mode": mode}, shape=(12, 2, 3))
        for mode in ("DCR", "CRD")
    ),
    Case("SpaceToDepth", attributes={"blocksize": 2}, shape=(3, 4, 6)),
]


def resized(scale: float, **attributes: Any) -> Case:
    scales = np.array([1, 1, scale, scale], dtype=np.float32)
    return Case("Resize", "x - s", {"s": scales}, attributes, shape=(3, 4, 6))


RESIZED = [
    resized(2, mode="nearest"),
    resized(3, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    resized(2, mode="linear"),
    resized(0.5, mode="linear"),
    resized(2, mode="linear", coordinate_transformation_mode="align_corners"),
    Case("Upsample", "x s", {"s": np.float32([1, 1, 2, 2])}, {"mode": "nearest"}, opset=9),
]

W4 = noise(3, 3, 3, 3, seed=1)
FUSED = [
    *(
        Case(
            "com.microsoft.FusedConv",
            "x w b",
            {"w": W3, "b": noise(4)},
            {"pads": [1, 1, 1, 1], "activation": kind, **({"activation_params": p} if p else {})},
        )
        for kind, p in (
            ("Relu", []),
            ("Tanh", []),
            ("Sigmoid", []),
            ("LeakyRelu", [0.3]),
            ("Clip", [0.0, 0.5]),
            ("HardSigmoid", [0.3, 0.4]),
        )
    ),
    Case(
        "com.microsoft.FusedConv",
        "x w b x",
        {"w": W4, "b": noise(3)},
        {"pads": [1, 1, 1, 1], "activation": "Relu"},
    ),
    Case(
        "com.microsoft.FusedGemm",
        "x w b",
        {"w": noise(4, 5), "b": noise(4)},
        {"transB": 1, "activation": "LeakyRelu", "activation_alpha": 0.3},
        shape=(5,),
    ),
    Case("com.microsoft.FusedMatMul", "x w", {"w": noise(4, 8)}, {"transB": 1, "alpha": 0.5}),
    Case("com.microsoft.FusedMatMul", "x x", {}, {"transA": 1}),
    *(
        Case(
            f"com.microsoft.Skip{kind}LayerNormalization",
            f"x x s {more}".strip(),
            {"s": noise(8), "b": noise(8, seed=1), "c": noise(8, seed=2)},
            {"epsilon": 1e-3},
            shape=(5, 8),
            outputs=outputs,
        )
        for kind, more in (("", "b c"), ("", "b"), ("", ""), ("Simplified", "c"))
        for outputs in ("y", "y - - t")
    ),
]

HEADS = {"num_heads": 2}
ATTENTION = [
    Case(
        "Attention",
        "x x x",
        attributes={"q_num_heads": 2, "kv_num_heads": 2},
        shape=(5, 8),
        opset=23,
    ),
    Case("Attention", "x x x", attributes={"scale": 0.3, "softcap": 2.0}, opset=23),
    Case("Attention", "x x x", attributes={"is_causal": 1}, opset=23),
    Case("Attention", "x x x m", {"m": noise(9, 9)}, opset=23),
    Case("Attention", "x x x m", {"m": noise(9, 9) > -1}, opset=23),
    *(
        Case(
            "com.microsoft.Attention",
            "x w b",
            {"w": noise(8, 24), "b": noise(24)},
            HEADS | more,
            shape=(5, 8),
        )
        for more in ({}, {"scale": 0.3}, {"unidirectional": 1})
    ),
    Case(
        "com.microsoft.Attention",
        "x w b",
        {"w": noise(8, 28), "b": noise(28)},
        HEADS | {"qkv_hidden_sizes": [8, 8, 12]},
        shape=(5, 8),
    ),
    Case("com.microsoft.MultiHeadAttention", "x x x", {}, HEADS, shape=(5, 8)),
    Case("com.microsoft.MultiHeadAttention", "x x x b", {"b": noise(24)}, HEADS, shape=(5, 8)),
    Case(
        "com.microsoft.MultiHeadAttention",
        "x x x b - m",
        {"b": noise(24), "m": noise(1, 2, 5, 5)},
        HEADS,
        shape=(5, 8),
    ),
]

CASES = [
    *CONVOLUTIONS,
    *POOLS,
    *ELEMENTS,
    *NORMS,
    *MATRICES,
    *REDUCTIONS,
    *LAYOUT,
    *RESIZED,
    *FUSED,
    *ATTENTION,
]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_operator(case: Case, batch: int) -> None:
    model = graph(
        [node(case.kind, case.inputs, case.outputs, **case.attributes)],
        {"x": (BATCH, *case.shape)},
        constants=case.constants,
        outputs=[name for name in case.outputs.split() if name != "-"],
        opset=case.opset,
    )
    x = noise(batch, *case.shape, seed=5)
    agree(model, {"x": np.abs(x) + 0.1 if case.positive else x}, atol=2e-5, rtol=1e-4)


def test_heads_that_share_keys() -> None:
    nodes = [
        node("Split", "x", "a b", axis=1, num_outputs=2),
        node("Attention", "x a b", is_causal=1),
    ]
    agree(graph(nodes, {"x": (BATCH, 4, 5, 8)}, opset=23), {"x": noise(3, 4, 5, 8)}, rtol=1e-4)


def test_names_that_are_words_of_python() -> None:
    nodes = [node("Add", "x in", "as"), node("Mul", "as if")]
    constants = {"in": noise(4), "if": noise(4, seed=1)}
    agree(graph(nodes, {"x": (BATCH, 4)}, constants=constants), {"x": noise(2, 4)})


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
HIDDEN = 5


def recurrent(kind: str, directions: int, given: str, **attributes: Any) -> Case:
    gates = GATES[kind] * HIDDEN
    constants = {
        "w": noise(directions, gates, 8, scale=0.5),
        "r": noise(directions, gates, HIDDEN, seed=1, scale=0.5),
        "b": noise(directions, 2 * gates, seed=2),
        "h0": noise(directions, 1, HIDDEN, seed=3),
        "c0": noise(directions, 1, HIDDEN, seed=4),
    }
    outputs = "y h1 c1" if kind == "LSTM" else "y h1"
    sizes = {"hidden_size": HIDDEN, **attributes}
    return Case(kind, given, constants, sizes, outputs=outputs)


RECURRENT = [
    recurrent("LSTM", 1, "t w r b"),
    recurrent("LSTM", 1, "t w r"),
    recurrent("LSTM", 1, "t w r b", direction="reverse"),
    recurrent("LSTM", 2, "t w r b", direction="bidirectional"),
    recurrent("LSTM", 1, "t w r b - h c"),
    recurrent("GRU", 1, "t w r b"),
    recurrent("GRU", 1, "t w r"),
    recurrent("GRU", 2, "t w r b", direction="bidirectional", linear_before_reset=1),
    recurrent("GRU", 1, "t w r b - h", linear_before_reset=1),
    recurrent("GRU", 1, "t w r b - h"),
    recurrent("RNN", 1, "t w r b - h"),
    recurrent("RNN", 2, "t w r b", direction="bidirectional", activations=["Relu", "Relu"]),
]


@pytest.mark.parametrize("case", RECURRENT, ids=str)
def test_recurrent_layers(case: Case) -> None:
    """Images come first in the file's input, sequences in the layer's."""
    model = graph(
        [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Shape", "x", "n", end=1),
            node("Concat", "one n one", "s", axis=0),
            node("Expand", "h0 s", "h"),
            node("Expand", "c0 s", "c"),
            node(case.kind, case.inputs, case.outputs, **case.attributes),
        ],
        {"x": (BATCH, 4, 8)},
        constants=case.constants | {"one": ints(1)},
        outputs=case.outputs.split(),
    )
    agree(model, {"x": noise(3, 4, 8, seed=5)}, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["LessOrEqual", "GreaterOrEqual", "Less", "Greater", "Equal"])
@pytest.mark.parametrize("joined", ["And", "Or", "Xor"])
def test_comparisons(kind: str, joined: str) -> None:
    nodes = [
        node(kind, "x c", "a"),
        node("Less", "x zero", "b"),
        node(joined, "a b", "m"),
        node("Where", "m x zero"),
    ]
    x = noise(2, 3, 4)
    model = graph(nodes, {"x": (BATCH, 3, 4)}, constants={"c": x[0, :, :1], "zero": number(0)})
    agree(model, {"x": x})


def test_elements_by_index() -> None:
    indices = np.array([[[0, -1], [2, 1]]])
    for axis in (1, 2):
        model = graph(
            [
                node("Shape", "x", "n", end=1),
                node("Concat", "n rest", "s", axis=0),
                node("Expand", "i s", "all"),
                node("GatherElements", "x all", axis=axis),
            ],
            {"x": (BATCH, 3, 4)},
            constants={"i": indices, "rest": ints(2, 2)},
        )
        agree(model, {"x": noise(3, 3, 4)})


def test_a_range_of_positions() -> None:
    nodes = [
        node("Shape", "x", "n", start=1, end=2),
        node("Squeeze", "n", "l"),
        node("Range", "zero l one", "p"),
        node("Gather", "x p", axis=1),
    ]
    constants = {"zero": np.array(0), "one": np.array(2)}
    agree(graph(nodes, {"x": (BATCH, 5, 4)}, constants=constants), {"x": noise(2, 5, 4)})
    huge = constants | {"l": np.array(2**60)}
    with pytest.raises(InputError, match="a range of"):
        to_module(graph(nodes[2:], {"x": (BATCH, 5, 4)}, constants=huge))


@pytest.mark.parametrize(
    ("kind", "inputs", "constants", "attributes"),
    [
        ("com.microsoft.Attention", "x w b m", {"m": np.ones((1, 5), np.int32)}, HEADS),
        ("LSTM", "x w3 r3 - n", {"n": np.array([5], np.int32)}, {"hidden_size": 2}),
        ("LSTM", "x w3 r3", {}, {"hidden_size": 2, "clip": 1.0}),
        ("GRU", "x w3 r3", {}, {"hidden_size": 2, "activations": ["Relu", "Tanh"]}),
        ("com.microsoft.FusedGemm", "f w", {}, {"activation": "Cube"}),
    ],
)
def test_what_has_no_counterpart_is_named(
    kind: str, inputs: str, constants: dict[str, Any], attributes: dict[str, Any], refuses: Any
) -> None:
    own = {"w": noise(8, 24), "b": noise(24), "w3": noise(1, 8, 8), "r3": noise(1, 8, 2)}
    nodes = [node("Flatten", "x", "f", axis=2), node(kind, inputs, name="layer", **attributes)]
    model = graph(nodes, {"x": (BATCH, 5, 8)}, constants=own | constants)
    with refuses("differentiate", "'layer'"):
        to_module(model)
