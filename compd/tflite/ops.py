"""The table of operators: one line each, by the name that the format has for it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from compd.tflite import arithmetic as a
from compd.tflite import layout, products, window

__all__ = ["OPERATORS"]

OPERATORS: dict[str, Callable[..., Any]] = {
    # layers
    "CONV_2D": window.conv,
    "DEPTHWISE_CONV_2D": window.depthwise_conv,
    "TRANSPOSE_CONV": window.transpose_conv,
    "FULLY_CONNECTED": products.fully_connected,
    "BATCH_MATMUL": products.batch_matmul,
    "AVERAGE_POOL_2D": window.average_pool,
    "MAX_POOL_2D": window.max_pool,
    # activations
    "RELU": a.unary(torch.relu),
    "RELU6": a.unary(F.relu6),
    "RELU_N1_TO_1": a.unary(F.hardtanh),
    "RELU_0_TO_1": a.unary(lambda x: x.clamp(0, 1)),
    "PRELU": a.prelu,
    "LEAKY_RELU": a.leaky,
    "ELU": a.unary(F.elu),
    "HARD_SWISH": a.unary(F.hardswish),
    "GELU": a.gelu,
    "LOGISTIC": a.unary(torch.sigmoid),
    "TANH": a.unary(torch.tanh),
    "SOFTMAX": a.softmax,
    "LOG_SOFTMAX": a.log_softmax,
    "L2_NORMALIZATION": a.l2_norm,
    # arithmetic
    "ADD": a.sum_of(1),
    "SUB": a.sum_of(-1),
    "MUL": a.product,
    "DIV": a.binary(operator.truediv),
    "POW": a.binary(torch.pow),
    "MAXIMUM": a.binary(torch.maximum),
    "MINIMUM": a.binary(torch.minimum),
    "SQUARED_DIFFERENCE": a.binary(lambda x, y: (x - y) * (x - y)),
    "SQUARE": a.unary(lambda x: x * x),
    "SQRT": a.unary(torch.sqrt),
    "RSQRT": a.unary(torch.rsqrt),
    "EXP": a.unary(torch.exp),
    "LOG": a.unary(torch.log),
    "NEG": a.unary(torch.neg),
    "ABS": a.unary(torch.abs),
    "SIN": a.unary(torch.sin),
    "COS": a.unary(torch.cos),
    # reductions
    "MEAN": a.mean,
    "SUM": a.total,
    "REDUCE_MAX": a.reduction(torch.amax),
    "REDUCE_MIN": a.reduction(torch.amin),
    # quantised
    "QUANTIZE": a.convert,
    "DEQUANTIZE": a.convert,
    "CAST": a.convert,
    # layout
    "RESHAPE": layout.reshape,
    "SQUEEZE": layout.reshape,
    "EXPAND_DIMS": layout.reshape,
    "TRANSPOSE": layout.transpose,
    "CONCATENATION": layout.concatenation,
    "PACK": layout.pack,
    "UNPACK": layout.unpack,
    "SPLIT": layout.split,
    "SPLIT_V": layout.split,
    "SLICE": layout.slices,
    "STRIDED_SLICE": layout.strided_slice,
    "GATHER": layout.gather,
    "TILE": layout.tile,
    "BROADCAST_TO": layout.broadcast_to,
    "PAD": layout.pad,
    "PADV2": layout.pad,
    "RESIZE_BILINEAR": layout.resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": layout.resize_nearest,
    "DEPTH_TO_SPACE": layout.depth_to_space,
    "SPACE_TO_DEPTH": layout.space_to_depth,
}
