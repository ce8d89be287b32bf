"""Operators of OpenVINO as those of ONNX: one function or one name each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compd.onnx.growing import Growing

__all__ = ["SAME", "SPECIAL"]

_FLOAT = 1  # onnx.TensorProto.FLOAT

# The same operator by this name: inputs alike, and no attributes.
SAME = {
    **{
        name: name
        for name in (
            *("Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Abs", "Floor", "Erf", "Mish", "Sign"),
            *("Add", "Sin", "Cos", "Selu", "Relu", "Squeeze", "Unsqueeze", "Tile", "Equal"),
            *("Less", "Greater"),
        )
    },
    "ReLU": "Relu",
    "Subtract": "Sub",
    "Multiply": "Mul",
    "Divide": "Div",
    "Power": "Pow",
    "Maximum": "Max",
    "Minimum": "Min",
    "Negative": "Neg",
    "Ceiling": "Ceil",
    "HSwish": "HardSwish",
    "SoftPlus": "Softplus",
    "ShapeOf": "Shape",
    "Select": "Where",
}
_PADDING = {"same_upper": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}


def _convolution(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    kind = operator.get_type_name()
    image, weight = inputs[:2]
    group = 1
    if kind.startswith("Group"):
        shape = [int(n) for n in operator.input(1).get_partial_shape().to_shape()]
        group = shape[0]
        flat = graph.constant(operator, "shape", [shape[0] * shape[1], *shape[2:]])
        weight = graph.between(operator, "Reshape", [weight, flat], "weights")
    more: dict[str, Any] = _window(attributes)
    if "Backprop" in kind:
        if len(inputs) > 2 or "auto_pad" in more:
            raise graph.refuse(operator, "a size of the result")
        more["output_padding"] = [int(n) for n in attributes["output_padding"]]
    name = "ConvTranspose" if "Backprop" in kind else "Conv"
    graph.node(operator, name, [image, weight], group=group, **more)


def _window(attributes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"strides": [int(n) for n in attributes["strides"]]}
    if "dilations" in attributes:
        made["dilations"] = [int(n) for n in attributes["dilations"]]
    automatic = str(attributes.get("auto_pad", "explicit")).lower()
    if automatic in _PADDING:
        made["auto_pad"] = _PADDING[automatic]
    else:
        ends = (*attributes["pads_begin"], *attributes["pads_end"])
        made["pads"] = [int(n) for n in ends]
    return made


def _pool(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    more = _window(attributes) | {
        "kernel_shape": [int(n) for n in attributes["kernel"]],
        "ceil_mode": int("ceil" in str(attributes.get("rounding_type", "floor"))),
    }
    if operator.get_type_name() == "AvgPool":
        out = attributes.get("exclude-pad", attributes.get("exclude_pad", True))
        graph.node(operator, "AveragePool", inputs, count_include_pad=int(not out), **more)
        return
    # Its second result says where: nothing that has a gradient uses it.
    graph.node(operator, "MaxPool", inputs, results=1, **more)


def _matmul(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    turned = []
    for at, (name, turn) in enumerate(
        zip(inputs, (attributes["transpose_a"], attributes["transpose_b"]), strict=True)
    ):
        rank = len(operator.input(at).get_partial_shape())
        if turn and rank > 1:
            order = [*range(rank - 2), rank - 1, rank - 2]
            name = graph.between(operator, "Transpose", [name], f"turned {at}", perm=order)
        turned.append(name)
    graph.node(operator, "MatMul", turned)


def _transpose(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    del attributes
    order = graph.known(operator, inputs[1]) if len(inputs) > 1 else []
    rank = len(operator.input(0).get_partial_shape())
    graph.node(operator, "Transpose", inputs[:1], perm=order or list(range(rank))[::-1])


def _reshape(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    graph.node(operator, "Reshape", inputs, allowzero=int(not attributes["special_zero"]))


def _clamp(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    ends = [
        graph.constant(operator, end, float(attributes[end]), "float32") for end in ("min", "max")
    ]
    graph.node(operator, "Clip", [*inputs, *ends])


def _with_axis(name: str) -> Callable[..., None]:
    def make(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
        graph.node(operator, name, inputs, axis=int(attributes["axis"]))

    return make


def _split(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    (axis,) = graph.known(operator, inputs[1])
    if operator.get_type_name() == "VariadicSplit":
        graph.node(operator, "Split", [inputs[0], inputs[2]], axis=axis)
    else:
        graph.node(
            operator, "Split", [inputs[0]], axis=axis, num_outputs=int(attributes["num_splits"])
        )


def _gather(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    if attributes.get("batch_dims", 0):
        raise graph.refuse(operator, "batch_dims")
    (axis,) = graph.known(operator, inputs[2])
    graph.node(operator, "Gather", inputs[:2], axis=axis)


def _slice(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    del attributes
    data, start, stop, step, *axes = inputs
    graph.node(operator, "Slice", [data, start, stop, *(axes or [""]), step])


def _strided_slice(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    masks = {name: list(attributes.get(name, [])) for name in (
        "begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask", "ellipsis_mask"
    )}  # fmt: skip
    if any(masks["new_axis_mask"]) or any(masks["ellipsis_mask"]):
        raise graph.refuse(operator, "a new axis or an ellipsis")
    begin, end = (graph.known(operator, name) for name in inputs[1:3])
    step = graph.known(operator, inputs[3]) if len(inputs) > 3 else [1] * len(begin)
    for at in range(len(begin)):
        if at < len(masks["begin_mask"]) and masks["begin_mask"][at]:
            begin[at] = 0 if step[at] > 0 else 2**31 - 1
        if at < len(masks["end_mask"]) and masks["end_mask"][at]:
            end[at] = 2**31 - 1 if step[at] > 0 else -(2**31)
        if at < len(masks["shrink_axis_mask"]) and masks["shrink_axis_mask"][at]:
            end[at] = begin[at] + 1 if begin[at] != -1 else 2**31 - 1
    parts = {"starts": begin, "ends": end, "axes": list(range(len(begin))), "steps": step}
    names = [graph.constant(operator, key, value) for key, value in parts.items()]
    shrunk = [at for at, one in enumerate(masks["shrink_axis_mask"]) if one]
    if not shrunk:
        graph.node(operator, "Slice", [inputs[0], *names])
        return
    kept = graph.between(operator, "Slice", [inputs[0], *names], "part")
    graph.node(operator, "Squeeze", [kept, graph.constant(operator, "shrunk", shrunk)])


def _pad(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    mode = str(attributes.get("pad_mode", "constant")).lower()
    if mode != "constant":
        raise graph.refuse(operator, f"a border by {mode}")
    sizes = [size for name in inputs[1:3] for size in graph.known(operator, name)]
    graph.node(operator, "Pad", [inputs[0], graph.constant(operator, "border", sizes), *inputs[3:]])


def _gelu(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    way = str(attributes.get("approximation_mode", "ERF")).lower()
    graph.node(operator, "Gelu", inputs[:1], approximate="tanh" if "tanh" in way else "none")


def _swish(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    del attributes
    beta = 1.0
    if len(inputs) > 1:
        if inputs[1] not in graph.constants:
            raise graph.refuse(operator, "a factor that is computed")
        beta = float(graph.constants[inputs[1]].reshape(-1)[0])
    graph.node(operator, "Swish", inputs[:1], alpha=beta)


def _fake_quantize(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    graph.node(operator, "compd.FakeQuantize", inputs, levels=int(attributes["levels"]))


def _convert(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    kind = str(attributes.get("destination_type", "f32"))
    whole = kind.startswith(("i", "u"))
    graph.node(operator, "Cast", inputs, to=7 if whole else _FLOAT)


def _squared_difference(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    del attributes
    apart = graph.between(operator, "Sub", inputs, "apart")
    graph.node(operator, "Mul", [apart, apart])


def _constant_alpha(name: str, **attributes: float) -> Callable[..., None]:
    def make(graph: Growing, operator: Any, inputs: list[str], said: Any) -> None:
        own = {"alpha": float(said["alpha"])} if "alpha" in said else {}
        graph.node(operator, name, inputs, 0, **attributes, **own)

    return make


def _prelu(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    """Slopes of one axis are those of the channels."""
    del attributes
    image, slope = inputs
    rank = len(operator.input(0).get_partial_shape())
    if len(operator.input(1).get_partial_shape()) == 1 and rank > 2:
        shape = graph.constant(operator, "shape", [-1, *[1] * (rank - 2)])
        slope = graph.between(operator, "Reshape", [slope, shape], "slopes")
    graph.node(operator, "PRelu", [image, slope])


def _reduction(graph: Growing, operator: Any, inputs: list[str], attributes: Any) -> None:
    keep = int(bool(attributes["keep_dims"]))
    graph.node(operator, operator.get_type_name(), inputs, keepdims=keep)


SPECIAL: dict[str, Callable[..., None]] = {
    "Convolution": _convolution,
    "GroupConvolution": _convolution,
    "ConvolutionBackpropData": _convolution,
    "GroupConvolutionBackpropData": _convolution,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "MatMul": _matmul,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Clamp": _clamp,
    "PRelu": _prelu,
    "Concat": _with_axis("Concat"),
    "Softmax": _with_axis("Softmax"),
    "LogSoftmax": _with_axis("LogSoftmax"),
    "Split": _split,
    "VariadicSplit": _split,
    "Gather": _gather,
    "Slice": _slice,
    "StridedSlice": _strided_slice,
    "Pad": _pad,
    "Gelu": _gelu,
    "Swish": _swish,
    "HSigmoid": _constant_alpha("HardSigmoid", alpha=1 / 6, beta=0.5),
    "Elu": _constant_alpha("Elu"),
    "FakeQuantize": _fake_quantize,
    "Convert": _convert,
    "SquaredDifference": _squared_difference,
    "Broadcast": lambda graph, operator, inputs, _: graph.node(operator, "Expand", inputs[:2]),
    **dict.fromkeys(
        ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
        _reduction,
    ),
}
