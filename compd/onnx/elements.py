"""Element types of ONNX tensors, and their numbers as PyTorch tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from compd.errors import InputError, require_extra

if TYPE_CHECKING:
    import onnx

__all__ = ["BITS", "BOOL", "EIGHT_BIT", "FLOATS", "RANGES", "UINT8", "as_tensor", "element_name"]

# Numbers of onnx.TensorProto.DataType: they are part of the file format and never change.
UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL = 2, 3, 4, 5, 6, 7, 9
UINT32, UINT64, UINT4, INT4 = 12, 13, 21, 22
FLOATS = frozenset({1, 10, 11, 16})  # float32, float16, float64, bfloat16
EIGHT_BIT = frozenset({UINT8, INT8})

# Bits of one element; what is not listed (strings, newer types) has no bytes that we can count.
BITS = {
    1: 32,
    UINT8: 8,
    INT8: 8,
    UINT16: 16,
    INT16: 16,
    INT32: 32,
    INT64: 64,
    BOOL: 8,
    10: 16,
    11: 64,
    UINT32: 32,
    UINT64: 64,
    14: 64,
    15: 128,
    16: 16,
    17: 8,
    18: 8,
    19: 8,
    20: 8,
    UINT4: 4,
    INT4: 4,
    23: 4,
    24: 8,
}

# The integers that a quantised tensor can hold: least and greatest.
RANGES = {
    UINT8: (0, 255),
    INT8: (-128, 127),
    UINT16: (0, 65535),
    INT16: (-32768, 32767),
    UINT4: (0, 15),
    INT4: (-8, 7),
}


def as_tensor(proto: onnx.TensorProto) -> Tensor:
    """The numbers of a tensor whose data lies in the model.

    Returns:
        float32 for floats and for the integers of :data:`RANGES` (so that gradients can pass; all
        of them are exact), int64 for wider integers, bool for truth values.

    Raises:
        CompdError: if the elements are of another kind.
    """
    onnx = require_extra("onnx", "onnx")
    kind = proto.data_type
    if kind in RANGES or kind in FLOATS:
        target: Any = np.float32
    elif kind in (INT32, INT64, UINT32, UINT64):
        target = np.int64
    elif kind == BOOL:
        target = np.bool_
    else:
        raise InputError(
            f"expected numbers in tensor {proto.name!r}, got elements of type {element_name(kind)}"
        )
    try:
        values = onnx.numpy_helper.to_array(proto)
    except Exception as error:
        raise InputError(f"expected the data of tensor {proto.name!r}, got {error}") from error
    return torch.from_numpy(np.array(values, dtype=target, order="C"))


def element_name(kind: int) -> str:
    """``float32``, ``uint8``, ...: the name of an element type."""
    onnx = require_extra("onnx", "onnx")
    try:
        name: str = onnx.TensorProto.DataType.Name(kind).lower()
    except ValueError:
        return str(kind)
    return {"float": "float32", "double": "float64"}.get(name, name)
