"""The table of operators: one line each, by the name that a file uses.

Names of ONNX Runtime's own operators start with ``com.microsoft.``.
"""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F

from compd.models.products import matmul
from compd.onnx import arithmetic as a
from compd.onnx import (
    attention,
    fused,
    layout,
    nbits,
    qlinear,
    quantised,
    recurrent,
    saturation,
    window,
)
from compd.onnx.node import Operator

__all__ = ["OPERATORS"]

_MS = "com.microsoft."
_QUANTISE = Operator(quantised.quantize, numbers=(2,))
_DEQUANTISE = Operator(quantised.dequantize, numbers=(2,))

OPERATORS: dict[str, Operator] = {
    # layers
    "Conv": Operator(window.conv),
    _MS + "FusedConv": Operator(fused.fused_conv),
    "compd.FakeQuantize": Operator(quantised.fake_quantize, numbers=(1, 2, 3, 4)),
    "compd.SaturatingConv": Operator(saturation.saturating_conv),
    "compd.SaturatingGemm": Operator(saturation.saturating_gemm),
    "ConvTranspose": Operator(window.conv_transpose),
    "Gemm": Operator(a.gemm),
    "MatMul": Operator(a.plain(matmul)),
    _MS + "FusedGemm": Operator(fused.fused_gemm),
    _MS + "FusedMatMul": Operator(fused.fused_matmul),
    "Einsum": Operator(a.einsum),
    "LSTM": Operator(recurrent.lstm),
    "GRU": Operator(recurrent.gru),
    "RNN": Operator(recurrent.rnn),
    "Attention": Operator(attention.attention),
    _MS + "Attention": Operator(attention.packed),
    _MS + "MultiHeadAttention": Operator(attention.multi_head),
    "BatchNormalization": Operator(a.batch_norm),
    "InstanceNormalization": Operator(a.group_norm),
    "GroupNormalization": Operator(a.group_norm),
    "LayerNormalization": Operator(a.layer_norm),
    "RMSNormalization": Operator(fused.rms_norm),
    "SimplifiedLayerNormalization": Operator(fused.rms_norm),
    _MS + "SkipLayerNormalization": Operator(fused.skip_layer_norm),
    _MS + "SkipSimplifiedLayerNormalization": Operator(fused.skip_rms_norm),
    "LpNormalization": Operator(a.lp_norm),
    "LRN": Operator(a.local_norm),
    "MaxPool": Operator(window.max_pool),
    "AveragePool": Operator(window.average_pool),
    "GlobalAveragePool": Operator(a.global_pool(torch.mean)),
    "GlobalMaxPool": Operator(a.global_pool(torch.amax)),
    # activations
    "Relu": Operator(a.plain(F.relu)),
    "LeakyRelu": Operator(lambda node, x: F.leaky_relu(x, node.get("alpha", 0.01))),
    "PRelu": Operator(a.prelu),
    "Elu": Operator(lambda node, x: F.elu(x, node.get("alpha", 1.0))),
    "Selu": Operator(a.selu),
    "Celu": Operator(lambda node, x: F.celu(x, node.get("alpha", 1.0))),
    "ThresholdedRelu": Operator(lambda node, x: F.threshold(x, node.get("alpha", 1.0), 0.0)),
    "Clip": Operator(a.clip, numbers=(1, 2)),
    "HardSigmoid": Operator(
        lambda node, x: (x * node.get("alpha", 0.2) + node.get("beta", 0.5)).clamp(0, 1)
    ),
    "HardSwish": Operator(a.plain(F.hardswish)),
    "Sigmoid": Operator(a.plain(torch.sigmoid)),
    "Tanh": Operator(a.plain(torch.tanh)),
    "Gelu": Operator(lambda node, x: F.gelu(x, approximate=node.get("approximate", "none"))),
    _MS + "Gelu": Operator(a.plain(F.gelu)),
    _MS + "BiasGelu": Operator(fused.bias_gelu),
    _MS + "FastGelu": Operator(fused.fast_gelu),
    _MS + "QuickGelu": Operator(fused.quick_gelu),
    "Swish": Operator(fused.quick_gelu),
    "Softsign": Operator(a.plain(F.softsign)),
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
    "Round": Operator(a.plain(torch.round)),
    "Sign": Operator(a.plain(torch.sign)),
    "Sin": Operator(a.plain(torch.sin)),
    "Cos": Operator(a.plain(torch.cos)),
    "CumSum": Operator(a.cumulative, lists=(1,)),
    # reductions
    "ReduceMean": Operator(a.reduction(torch.mean), lists=(1,)),
    "ReduceSum": Operator(a.reduction(torch.sum), lists=(1,)),
    "ReduceMax": Operator(a.reduction(torch.amax), lists=(1,)),
    "ReduceMin": Operator(a.reduction(torch.amin), lists=(1,)),
    "ReduceL1": Operator(a.reduction(a.norm(1), torch.abs), lists=(1,)),
    "ReduceL2": Operator(a.reduction(a.norm(2), torch.abs), lists=(1,)),
    "ReduceProd": Operator(a.reduction(a.product), lists=(1,)),
    "ReduceLogSumExp": Operator(a.reduction(torch.logsumexp), lists=(1,)),
    "ReduceSumSquare": Operator(a.reduction(a.sum_of_squares, torch.square), lists=(1,)),
    # comparisons and choices
    "Equal": Operator(a.plain(torch.eq)),
    "Less": Operator(a.plain(torch.lt)),
    "Greater": Operator(a.plain(torch.gt)),
    "LessOrEqual": Operator(a.plain(torch.le)),
    "GreaterOrEqual": Operator(a.plain(torch.ge)),
    "And": Operator(a.plain(torch.logical_and)),
    "Or": Operator(a.plain(torch.logical_or)),
    "Xor": Operator(a.plain(torch.logical_xor)),
    "Not": Operator(a.plain(torch.logical_not)),
    "Where": Operator(a.plain(torch.where)),
    # layout
    "Cast": Operator(layout.cast),
    "Concat": Operator(layout.concat),
    "DepthToSpace": Operator(layout.depth_to_space),
    "SpaceToDepth": Operator(layout.space_to_depth),
    "Range": Operator(layout.counted, lists=(0, 1, 2)),
    "Trilu": Operator(layout.triangle, lists=(1,)),
    "GatherElements": Operator(layout.gather_elements),
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
    _MS + "DynamicQuantizeMatMul": Operator(qlinear.dynamic_matmul, numbers=(3,)),
    _MS + "MatMulIntegerToFloat": Operator(qlinear.matmul_to_float, numbers=(4, 5)),
    _MS + "QAttention": Operator(attention.packed_in_integers, numbers=(6, 7)),
    "compd.UnpackedNBits": Operator(nbits.unpacked),
    "compd.MatMulUnpacked": Operator(nbits.matmul_nbits),
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
