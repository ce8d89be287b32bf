"""The table of operators: one line each, by the name that a file uses.

Names of ONNX Runtime's own operators start with ``com.microsoft.``.
"""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F

from compd.models.products import matmul
from compd.onnx import arithmetic as a
from compd.onnx import layout, qlinear, quantised, saturation, window
from compd.onnx.node import Operator

__all__ = ["OPERATORS"]

_MS = "com.microsoft."
_QUANTISE = Operator(quantised.quantize, numbers=(2,))
_DEQUANTISE = Operator(quantised.dequantize, numbers=(2,))

OPERATORS: dict[str, Operator] = {
    # layers
    "Conv": Operator(window.conv),
    "compd.SaturatingConv": Operator(saturation.saturating_conv),
    "compd.SaturatingGemm": Operator(saturation.saturating_gemm),
    "ConvTranspose": Operator(window.conv_transpose),
    "Gemm": Operator(a.gemm),
    "MatMul": Operator(a.plain(matmul)),
    "BatchNormalization": Operator(a.batch_norm),
    "InstanceNormalization": Operator(a.group_norm),
    "GroupNormalization": Operator(a.group_norm),
    "LayerNormalization": Operator(a.layer_norm),
    "MaxPool": Operator(window.max_pool),
    "AveragePool": Operator(window.average_pool),
    "GlobalAveragePool": Operator(a.global_pool(torch.mean)),
    "GlobalMaxPool": Operator(a.global_pool(torch.amax)),
    # activations
    "Relu": Operator(a.plain(F.relu)),
    "LeakyRelu": Operator(lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01))),
    "PRelu": Operator(a.prelu),
    "Elu": Operator(lambda node, x: F.elu(x, node.get("alpha", 1.0))),
    "Clip": Operator(a.clip, numbers=(1, 2)),
    "HardSigmoid": Operator(
        lambda node, x: (x * node.get("alpha", 0.2) + node.get("beta", 0.5)).clamp(0, 1)
    ),
    "HardSwish": Operator(a.plain(F.hardswish)),
    "Sigmoid": Operator(a.plain(torch.sigmoid)),
    "Tanh": Operator(a.plain(torch.tanh)),
    "Gelu": Operator(lambda node, x: F.gelu(x, approximate=node.get("approximate", "none"))),
    _MS + "Gelu": Operator(a.plain(F.gelu)),
    "Softplus": Operator(a.plain(F.softplus)),
    "Mish": Operator(a.plain(F.mish)),
    "Softmax": Operator(a.softmax(F.softmax)),
    "LogSoftmax": Operator(a.softmax(F.log_softmax)),
    # arithmetic
    "Add": Operator(a.plain(operator.add)),
    "Sub": Operator(a.plain(operator.sub)),
    "Mul": Operator(a.plain(operator.mul)),
    "Div": Operator(a.divide),
    "Pow": Operator(a.plain(torch.pow), numbers=(1,)),
    "Mod": Operator(a.modulo),
    "Sum": Operator(a.fold(torch.add)),
    "Mean": Operator(a.mean),
    "Min": Operator(a.fold(torch.minimum)),
    "Max": Operator(a.fold(torch.maximum)),
    "Sqrt": Operator(a.plain(torch.sqrt)),
    "Neg": Operator(a.plain(torch.neg)),
    "Exp": Operator(a.plain(torch.exp)),
    "Log": Operator(a.plain(torch.log)),
    "Abs": Operator(a.plain(torch.abs)),
    "Erf": Operator(a.plain(torch.erf)),
    "Reciprocal": Operator(a.plain(torch.reciprocal)),
    "Floor": Operator(a.plain(torch.floor)),
    "Ceil": Operator(a.plain(torch.ceil)),
    # reductions
    "ReduceMean": Operator(a.reduction(torch.mean), lists=(1,)),
    "ReduceSum": Operator(a.reduction(torch.sum), lists=(1,)),
    "ReduceMax": Operator(a.reduction(torch.amax), lists=(1,)),
    "ReduceMin": Operator(a.reduction(torch.amin), lists=(1,)),
    # comparisons and choices
    "Equal": Operator(a.plain(torch.eq)),
    "Less": Operator(a.plain(torch.lt)),
    "Greater": Operator(a.plain(torch.gt)),
    "Not": Operator(a.plain(torch.logical_not)),
    "Where": Operator(a.plain(torch.where)),
    # layout
    "Cast": Operator(layout.cast),
    "Concat": Operator(layout.concat),
    "Dropout": Operator(lambda _node, x, *_rest: x, lists=(1, 2)),
    "Expand": Operator(layout.expand, lists=(1,)),
    "Flatten": Operator(layout.flatten),
    "Gather": Operator(layout.gather, lists=(1,)),
    "Identity": Operator(lambda _node, x: x),
    "Pad": Operator(layout.pad, lists=(1, 3), numbers=(2,)),
    "Reshape": Operator(layout.reshape, lists=(1,)),
    "Resize": Operator(layout.resize, lists=(1, 2, 3)),
    "Upsample": Operator(layout.upsample, lists=(1,)),
    "Slice": Operator(layout.slices, lists=(1, 2, 3, 4)),
    "Split": Operator(layout.split, lists=(1,)),
    "Squeeze": Operator(layout.squeeze, lists=(1,)),
    "Tile": Operator(lambda _node, x, repeats: x.repeat(repeats), lists=(1,)),
    "Transpose": Operator(layout.transpose),
    "Unsqueeze": Operator(layout.unsqueeze, lists=(1,)),
    # quantised
    "QuantizeLinear": _QUANTISE,
    "DequantizeLinear": _DEQUANTISE,
    _MS + "QuantizeLinear": _QUANTISE,
    _MS + "DequantizeLinear": _DEQUANTISE,
    "DynamicQuantizeLinear": Operator(quantised.dynamic_quantize),
    "ConvInteger": Operator(qlinear.conv_integer, numbers=(2, 3)),
    "MatMulInteger": Operator(qlinear.matmul_integer, numbers=(2, 3)),
    "QLinearConv": Operator(qlinear.qlinear_conv, numbers=(2, 5, 7)),
    "QLinearMatMul": Operator(qlinear.qlinear_matmul, numbers=(2, 5, 7)),
    _MS + "QGemm": Operator(qlinear.qgemm, numbers=(2, 5, 8)),
    _MS + "QLinearAdd": Operator(qlinear.qlinear_binary(torch.add), numbers=(2, 5, 7)),
    _MS + "QLinearMul": Operator(qlinear.qlinear_binary(torch.mul), numbers=(2, 5, 7)),
    _MS + "QLinearConcat": Operator(qlinear.qlinear_concat, numbers=(1,)),
    _MS + "QLinearGlobalAveragePool": Operator(
        qlinear.qlinear_unary(qlinear.qlinear_global_average_pool), numbers=(2, 4)
    ),
    _MS + "QLinearAveragePool": Operator(
        qlinear.qlinear_unary(qlinear.qlinear_average_pool), numbers=(2, 4)
    ),
    _MS + "QLinearLeakyRelu": Operator(
        qlinear.qlinear_unary(lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01))),
        numbers=(2, 4),
    ),
    _MS + "QLinearSigmoid": Operator(
        qlinear.qlinear_unary(lambda _node, x: torch.sigmoid(x)), numbers=(2, 4)
    ),
    _MS + "QLinearSoftmax": Operator(
        qlinear.qlinear_unary(qlinear.qlinear_softmax), numbers=(2, 4)
    ),
}
