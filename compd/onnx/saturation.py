"""What int8 convolutions come to on CPUs that add two products in 16 bits.

Without VNNI, x86 kernels multiply unsigned activations by signed weights with ``vpmaddubsw``: the
products of two neighbours in a row of channels are added in 16 bits, which saturate. 2 x 255 x 127
is twice as much as they hold. (Intel's manual, volume 2, PMADDUBSW; ONNX Runtime's and oneDNN's
documentation of int8 advise weights of 7 bits.) Depthwise convolutions are computed otherwise.

Signed activations do not help: ONNX Runtime shifts them to unsigned ones on x86 (1.31: all
``QLinearConv`` of an optimised graph have uint8 activations).

The neighbours are those of oneDNN, with channels last and padded to an even number; measured
against its AVX2 kernels.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from compd.onnx.elements import as_tensor
from compd.onnx.node import Node
from compd.onnx.window import convolve

if TYPE_CHECKING:
    import onnx

__all__ = ["Risk", "observed", "risks", "saturating", "saturating_conv", "saturating_gemm"]

_MOST = 2**15 - 1
_DOMAIN = "compd"
_UINT8, _INT8 = 2, 3  # element types
_REPLACED = {"Conv": "SaturatingConv", "Gemm": "SaturatingGemm", "MatMul": "SaturatingGemm"}

_DIMENSIONS = {"Conv": 4, "Gemm": 2, "MatMul": 2}  # of the weights


@dataclass(frozen=True)
class Risk:
    """A layer whose sums can saturate."""

    node: str
    kind: str  # operator
    pairs: int  # of neighbouring weights
    risky: int  # of these, whose products can exceed 16 bits


def risks(model: onnx.ModelProto) -> tuple[Risk, ...]:
    """The layers of a QDQ model with 8-bit activations and signed weights, as they are at risk.

    Args:
        model: from :func:`compd.onnx.read_onnx`.
    """
    found = []
    for node, _, weight in _layers(model):
        first, second = _pairs(_rows(weight, node))
        risky = int(((first.abs() + second.abs()) * 255 > _MOST).sum())
        found.append(Risk(node.name or node.output[0], node.op_type, first.numel(), risky))
    return tuple(found)


def saturating(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a QDQ model whose dense int8 layers add as ``vpmaddubsw`` does.

    For :func:`compd.onnx.to_module`; no runtime knows its operators.
    """
    changed = copy.deepcopy(model)
    makers = {output: node for node in changed.graph.node for output in node.output}
    for node, inputs, _ in _layers(changed):
        activation, weight = (makers[name] for name in inputs)
        bias = list(node.input)[2:]
        node.op_type, node.domain = _REPLACED[node.op_type], _DOMAIN
        del node.input[:]
        node.input.extend([*_three(activation), *_three(weight), *bias])
    del changed.opset_import[len(model.opset_import) :]
    entry = changed.opset_import.add()
    entry.domain, entry.version = _DOMAIN, 1
    return changed


def saturating_conv(
    node: Node,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    """``Conv`` of 8-bit activations and int8 weights, whose sums saturate."""
    del w_zero  # symmetric: _layers sees to it
    scale = w_scale.reshape(-1, 1, 1, 1) if node.shapes[4] not in ((), (1,)) else w_scale
    exact = convolve(node, (x - x_zero) * x_scale, w * scale, bias, weight_at=3)
    missing = _leaf(_missing_of_conv, x, w, x_zero, node)
    step = scale.reshape(1, -1, 1, 1) if node.shapes[4] not in ((), (1,)) else w_scale
    result: Tensor = exact + missing * (x_scale * step)
    return result


def saturating_gemm(
    node: Node,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    w: Tensor,
    w_scale: Tensor,
    w_zero: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    """``Gemm`` or ``MatMul`` of 8-bit activations and int8 weights, whose sums saturate."""
    del w_zero
    columns = node.shapes[4] not in ((), (1,))
    if node.get("transB", 0):
        w = w.transpose(0, 1)
    step = x_scale * (w_scale.reshape(1, -1) if columns else w_scale)
    total: Tensor = torch.matmul(x - x_zero, w) + _leaf(_missing_of_gemm, x, w, x_zero, node)
    result: Tensor = total * (step * node.get("alpha", 1.0))
    return result if bias is None else result + bias * node.get("beta", 1.0)


def _leaf(function: Any, x: Any, w: Any, x_zero: Any, node: Node) -> Any:
    """Call a function, or put the call into a graph: it looks at numbers.

    Signed activations become unsigned ones first, as ONNX Runtime makes them on x86.
    """
    if node.types[2] == _INT8:  # of the zero point
        x, x_zero = x + 128, x_zero + 128
    if isinstance(x, fx.Proxy):
        return x.tracer.create_proxy("call_function", function, (x, w, x_zero, node), {})
    return function(x, w, x_zero, node)


def _missing_of_conv(x: Tensor, w: Tensor, x_zero: Tensor | float, node: Node) -> Tensor:
    """By how much saturated sums differ from exact ones: (N, O, H, W)."""
    zero = x_zero if isinstance(x_zero, Tensor) else torch.tensor(float(x_zero))
    plain = convolve(node, x, w, None, weight_at=3)
    if x.is_meta:
        return plain
    # Padding adds zero points: products of them count, too.
    padded = x - zero  # convolve pads with 0, which stands for the zero point here
    taps = [convolve(node, padded, one, None, weight_at=3) + zero for one in _unit_taps(w)]
    columns = torch.stack(taps, 1)  # (N, taps, C, H, W)
    n, count, channels, height, width = columns.shape
    rows = columns.flatten(3)
    if channels % 2:
        rows = F.pad(rows, (0, 0, 0, 1))
    pairs = rows.reshape(n, count * ((channels + 1) // 2), 2, height * width)
    first, second = _pairs(w.flatten(2).transpose(1, 2))  # (O, taps x C / 2)
    return _missing(pairs, first, second).reshape(n, len(w), height, width)


def _missing_of_gemm(x: Tensor, w: Tensor, x_zero: Tensor | float, node: Node) -> Tensor:
    """The same for (N, K) and (K, O)."""
    del x_zero, node
    if x.is_meta:
        return torch.matmul(x, w)
    rows = F.pad(x, (0, len(w) % 2))
    pairs = rows.reshape(len(x), -1, 2)[..., None]
    first, second = _pairs(w.transpose(0, 1)[:, None])
    return _missing(pairs, first, second)[..., 0]


def _missing(pairs: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Sum of what saturation takes from each pair: (N, P, 2, L), (O, P) twice -> (N, O, L)."""
    result = pairs.new_zeros(len(pairs), len(first), pairs.shape[3])
    for o in range(len(first)):
        (at,) = ((first[o].abs() + second[o].abs()) * 255 > _MOST).nonzero(as_tuple=True)
        if len(at):
            chosen = pairs[:, at]
            total = chosen[:, :, 0] * first[o, at, None] + chosen[:, :, 1] * second[o, at, None]
            result[:, o] = (total.clamp(-_MOST - 1, _MOST) - total).sum(1)
    return result


def _unit_taps(w: Tensor) -> list[Tensor]:
    """For each tap of a kernel the weights that pick that pixel of each channel."""
    taps = []
    for i in range(w[0, 0].numel()):
        one = torch.zeros(w.shape[1], w.shape[1], w[0, 0].numel(), dtype=w.dtype)
        one[:, :, i] = torch.eye(w.shape[1], dtype=w.dtype)
        taps.append(one.reshape(w.shape[1], w.shape[1], *w.shape[2:]))
    return taps


def _pairs(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbours along the channels: (O, taps, C) -> twice (O, taps x C / 2)."""
    rows = F.pad(rows, (0, rows.shape[2] % 2))
    return rows[..., 0::2].flatten(1), rows[..., 1::2].flatten(1)


def _rows(weight: Tensor, node: onnx.NodeProto) -> Tensor:
    """Weights as (O, taps, C)."""
    if node.op_type == "Conv":
        return weight.flatten(2).transpose(1, 2)
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return (weight if transposed else weight.transpose(0, 1))[:, None]


def _layers(
    model: onnx.ModelProto,
) -> list[tuple[onnx.NodeProto, tuple[str, str], Tensor]]:
    """Dense layers with 8-bit activations and symmetric int8 weights: node, inputs, weights."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    found = []
    for node in model.graph.node:
        if node.op_type not in _REPLACED or node.domain not in ("", "ai.onnx"):
            continue
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        sides = [makers.get(name) for name in node.input[:2]]
        if groups != 1 or any(a.name == "transA" and a.i for a in node.attribute):
            continue
        if len(sides) < 2 or any(s is None or s.op_type != "DequantizeLinear" for s in sides):
            continue
        activation, weight = (side for side in sides if side is not None)
        stored = constants.get(weight.input[0])
        if stored is None or stored.data_type != _INT8 or len(activation.input) < 3:
            continue
        zero = constants.get(activation.input[2])
        eight = zero is not None and zero.data_type in (_UINT8, _INT8)
        if not eight or activation.input[0] in constants:
            continue
        if len(stored.dims) != _DIMENSIONS[node.op_type]:
            continue
        if len(weight.input) > 2 and weight.input[2]:
            shift = constants.get(weight.input[2])
            if shift is None or bool(as_tensor(shift).any()):
                continue
        found.append((node, (node.input[0], node.input[1]), as_tensor(stored).float()))
    return found


def _three(dequantise: onnx.NodeProto) -> list[str]:
    """Tensor, scale and zero point."""
    return [*dequantise.input, ""][:3]


def observed(graph: fx.GraphModule, x: Tensor) -> list[tuple[float, float]]:
    """Run a saturating graph, and look at each of its layers.

    Args:
        graph: of :func:`saturating`, converted.
        x: its input.

    Returns:
        For each layer, in the file's order: the share of sums that saturation changed, and by how
        much at most, in parts of the largest exact sum.
    """
    watch = _Observed(graph)
    with torch.inference_mode():
        watch.run(x)
    return watch.layers


class _Observed(fx.Interpreter):
    """Keeps what saturation took from each layer."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.layers: list[tuple[float, float]] = []

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().call_function(target, args, kwargs)
        if target in (_missing_of_conv, _missing_of_gemm):
            x, w, zero, node = args
            exact = (
                convolve(node, x - zero, w, None, weight_at=3)
                if target is _missing_of_conv
                else torch.matmul(x - zero, w)
            )
            largest = float(exact.abs().max()) or 1.0
            self.layers.append(
                (float((value != 0).double().mean()), float(value.abs().max()) / largest)
            )
        return value
