"""Random networks, quantised by ONNX Runtime: each layer gives the runtime's own integers.

Layers are compared one by one. A layer is what lies between quantised tensors; it is given the
integers that the runtime gave it, so that differences do not add up. Of its result, one number in
fifty may differ from the runtime's, by one step: where a sum lies half-way between two integers,
and the two add in another order. Averages of few integers lie half-way often, so of those one in
three may.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import given, note, settings
from hypothesis import strategies as st
from onnx import helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from tiny_onnx import graph, node, noise, run_ort, run_torch

from compd.onnx import to_module

logging.getLogger().setLevel(logging.ERROR)  # the quantiser advises on every model
BATCH = 3

ACTIVATIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "Relu": {},
    "Clip": {},
    "HardSwish": {},
}


@dataclass(frozen=True)
class Layer:
    """One step of a network; what does not fit the image any more is left out."""

    kind: str
    channels: int = 1
    kernel: int = 1
    stride: int = 1
    bias: bool = False
    activation: str = "none"


@dataclass(frozen=True)
class Scheme:
    """How the quantiser is told to quantise."""

    signed: bool = False
    per_channel: bool = False
    reduce_range: bool = False
    symmetric: bool = False


layers = st.builds(
    Layer,
    st.sampled_from(["conv", "depthwise", "add", "concat", "max", "average"]),
    channels=st.integers(1, 6),
    kernel=st.sampled_from([1, 2, 3]),
    stride=st.sampled_from([1, 2]),
    bias=st.booleans(),
    activation=st.sampled_from(list(ACTIVATIONS)),
)
networks = st.tuples(st.lists(layers, min_size=1, max_size=5), st.booleans())
schemes = st.builds(Scheme, *[st.booleans()] * 4)


@dataclass
class Building:
    """A network while it is built."""

    channels: int = 3
    size: int = 8
    last: str = "x"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, kind: str, inputs: str, **attributes: Any) -> str:
        self.nodes.append(node(kind, inputs, f"h{len(self.nodes)}", **attributes))
        return f"h{len(self.nodes) - 1}"

    def weights(self, *shape: int) -> str:
        name = f"w{len(self.constants)}"
        fan = int(np.prod(shape[1:]))
        self.constants[name] = noise(*shape, seed=len(self.constants), scale=(2 / fan) ** 0.5)
        return name

    def convolve(self, layer: Layer, channels: int, *, group: int, same: bool) -> str:
        inputs = (
            f"{self.last} {self.weights(channels, self.channels // group, *[layer.kernel] * 2)}"
        )
        inputs += f" {self.weights(channels)}" if layer.bias else ""
        how = {"auto_pad": "SAME_UPPER"} if same else {"strides": [layer.stride] * 2}
        return self.add("Conv", inputs, group=group, kernel_shape=[layer.kernel] * 2, **how)


def build(network: list[Layer], linear: bool) -> onnx.ModelProto:
    made = Building()
    for layer in network:
        if layer.kernel > made.size:
            continue
        window = {"kernel_shape": [layer.kernel] * 2, "strides": [layer.stride] * 2}
        before = made.last
        match layer.kind:
            case "conv":
                made.last = made.convolve(layer, layer.channels, group=1, same=False)
                made.channels = layer.channels
            case "depthwise":
                made.last = made.convolve(layer, made.channels, group=made.channels, same=False)
            case "add":
                branch = made.convolve(layer, made.channels, group=1, same=True)
                made.last = made.add("Add", f"{branch} {before}")
            case "concat":
                branch = made.convolve(layer, layer.channels, group=1, same=True)
                made.last = made.add("Concat", f"{before} {branch}", axis=1)
                made.channels += layer.channels
            case "max":
                made.last = made.add("MaxPool", made.last, **window)
            case "average":
                made.last = made.add("AveragePool", made.last, **window)
        if layer.kind not in ("add", "concat"):
            made.size = (made.size - layer.kernel) // layer.stride + 1
        if layer.activation != "none":
            bounds = ""
            if layer.activation == "Clip":
                bounds = " zero six"
                made.constants |= {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
            made.last = made.add(layer.activation, made.last + bounds)
    if linear:
        pooled = made.add("GlobalAveragePool", made.last)
        flat = made.add("Flatten", pooled)
        weights = f"{made.weights(4, made.channels)} {made.weights(4)}"
        made.last = made.add("Gemm", f"{flat} {weights}", transB=1)
    return graph(made.nodes, {"x": ("N", 3, 8, 8)}, constants=made.constants, outputs=[made.last])


class Noise(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.left: Iterator[dict[str, np.ndarray]] = iter([{"x": noise(4, 3, 8, 8, seed=7)}])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.left, None)


def quantised(model: onnx.ModelProto, scheme: Scheme, form: QuantFormat) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            model,
            path,
            Noise(),
            quant_format=form,
            per_channel=scheme.per_channel,
            reduce_range=scheme.reduce_range,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8 if scheme.signed else QuantType.QUInt8,
            extra_options={"ActivationSymmetric": scheme.symmetric},
        )
        return onnx.load(path)


# Where an operator that gives integers has its result's zero point.
ZERO_POINTS = {
    "QuantizeLinear": 2,
    "QLinearConv": 7,
    "QLinearMatMul": 7,
    "QGemm": 8,
    "QLinearAdd": 7,
    "QLinearMul": 7,
    "QLinearConcat": 1,
    "QLinearAveragePool": 4,
    "QLinearGlobalAveragePool": 4,
}


def integer_points(model: onnx.ModelProto) -> dict[str, int]:
    """Quantised tensors that are no weights, in order, with their element types."""
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    return {
        made.output[0]: types[made.input[ZERO_POINTS[made.op_type]]]
        for made in model.graph.node
        if made.op_type in ZERO_POINTS
        and not all(name in types for name in made.input if name)
        and len(made.input) > ZERO_POINTS[made.op_type]
    }


def between(
    model: onnx.ModelProto, point: str, points: dict[str, int], values: dict[str, np.ndarray]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The layer that gives a quantised tensor, as a model of its own, and its inputs."""
    makers = {name: made for made in model.graph.node for name in made.output}
    wanted, inputs, nodes = [point], {}, []
    while wanted:
        name = wanted.pop()
        if name in values and name != point:
            inputs[name] = values[name]
        elif name in makers and makers[name] not in nodes:
            nodes.insert(0, makers[name])
            wanted.extend(makers[name].input)
    order = [made for made in model.graph.node if made in nodes]
    used = {name for made in order for name in made.input}
    layer = helper.make_graph(
        order,
        "layer",
        [
            helper.make_tensor_value_info(name, points.get(name, 1), ["N", *value.shape[1:]])
            for name, value in inputs.items()
        ],
        [helper.make_tensor_value_info(point, points[point], None)],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    return helper.make_model(layer, opset_imports=model.opset_import), inputs


@dataclass(frozen=True)
class Difference:
    """Of one layer's result from the runtime's: the largest, and how many of how many differ."""

    kinds: str
    steps: float
    count: int
    of: int


def differences(model: onnx.ModelProto, seed: int = 3) -> dict[str, Difference]:
    """Of each layer, by the quantised tensor that it gives."""
    points = integer_points(model)
    if not points:  # a pool alone is not worth quantising
        return {}
    x = noise(BATCH, 3, 8, 8, seed=seed)
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, kind, None) for name, kind in points.items()
    )
    values = {"x": x} | dict(zip(points, run_ort(watched, {"x": x}), strict=True))
    found = {}
    for point in points:
        layer, inputs = between(model, point, points, values)
        (got,) = run_torch(to_module(layer), inputs)
        assert got.shape == values[point].shape
        kinds = " ".join(made.op_type for made in layer.graph.node)
        apart = np.abs(got - values[point].astype(np.float32))
        found[point] = Difference(
            kinds, float(apart.max()), int(np.count_nonzero(apart)), apart.size
        )
    # The whole converts too, for other batches than the runtime has seen.
    assert np.isfinite(run_torch(to_module(model), {"x": noise(1, 3, 8, 8)})[0]).all()
    return found


def check(network: list[Layer], linear: bool, scheme: Scheme, form: QuantFormat) -> None:
    model = quantised(build(network, linear), scheme, form)
    for point, found in differences(model).items():
        note(f"{point}: {found}")
        assert found.steps <= 1
        assert found.count <= max(1, found.of / (3 if "AveragePool" in found.kinds else 50))


@settings(max_examples=25)
@given(networks, schemes)
def test_every_layer_between_the_two_gives_the_runtimes_integers(
    network: tuple[list[Layer], bool], scheme: Scheme
) -> None:
    check(*network, scheme, QuantFormat.QDQ)


@settings(max_examples=25)
@given(networks, schemes)
def test_every_integer_operator_gives_the_runtimes_integers(
    network: tuple[list[Layer], bool], scheme: Scheme
) -> None:
    # Some processors' kernels saturate sums of eight bits by eight: weights keep to seven.
    check(*network, replace(scheme, reduce_range=True), QuantFormat.QOperator)
