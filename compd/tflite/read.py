"""Reading a TFLite file that came from a stranger: every claim is checked, nothing is run.

The format is a flatbuffer: offsets that may point anywhere, and lengths that may be any. The
schema's own classes read it, and raise where an offset leaves the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import CompdError, InputError, brief, require_extra
from compd.text import printable
from compd.tflite.model import RANGES, Model, Operation, Value

__all__ = ["read_tflite"]

MOST_BYTES = 2**31
_IDENTIFIER = b"TFL3"
_MOST_VALUES = 1 << 17  # tensors of a graph, and operators
_MOST_AXES = 8
_MOST_ELEMENTS = 2**28  # of one tensor
_MOST_NAME = 200

# Numbers of TensorType: they are part of the format and never change.
_TYPES = {
    0: "float32",
    1: "float16",
    2: "int32",
    3: "uint8",
    4: "int64",
    6: "bool",
    7: "int16",
    9: "int8",
    10: "float64",
    12: "uint64",
    15: "uint32",
    16: "uint16",
    17: "int4",
}


def read_tflite(path: Path, *, most_bytes: int = MOST_BYTES) -> Model:
    """Read the main graph of a file with all its weights.

    Args:
        path: a ``.tflite`` file.
        most_bytes: of the file.

    Raises:
        CompdError: if the file is missing, of another kind, damaged or too large, or if it says
            something that cannot be.
    """
    schema = require_extra("ai_edge_litert.schema_py_generated", "litert")
    data = _bytes(path, most_bytes)
    try:
        return _Reader(schema, data).model()
    except CompdError as error:
        raise InputError(
            f"expected a TFLite file that is whole, got model={str(path)!r} ({error.message.raw})"
        ) from error
    except Exception as error:  # struct's, numpy's, or Python's own: whatever an offset leads to
        raise InputError(
            f"expected a TFLite file that is whole, got model={str(path)!r} "
            f"({type(error).__name__}: {brief(error)}); copy it again"
        ) from error


def _bytes(path: Path, most: int) -> bytes:
    if not path.is_file():
        raise InputError(f"expected a TFLite file, got model={str(path)!r} (no such file)")
    try:
        if path.stat().st_size > most:
            raise InputError(
                f"expected a TFLite file of at most {most // 2**20} MiB, got model={str(path)!r} "
                f"({path.stat().st_size // 2**20} MiB)"
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected a readable TFLite file, got model={str(path)!r} ({error.strerror})"
        ) from error
    if data[4:8] != _IDENTIFIER:
        raise InputError(f"expected a TFLite file, got model={str(path)!r} (another kind of file)")
    return data


class _Reader:
    """One file's flatbuffer."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._schema, self._data = schema, data
        self._root = schema.Model.GetRootAs(data, 0)
        self._behind = False
        kinds = vars(schema.BuiltinOperator).items()
        self._kinds = {number: name for name, number in kinds if isinstance(number, int)}

    def model(self) -> Model:
        root = self._root
        if not root.SubgraphsLength():
            raise InputError("no graph in it")
        graph = root.Subgraphs(0)
        count = self._count("tensors", graph.TensorsLength())
        buffers = self._count("buffers", root.BuffersLength())
        values = tuple(self._value(graph.Tensors(i), buffers) for i in range(count))
        total = sum(v.numbers.nbytes for v in values if v.numbers is not None)
        if total > 8 * len(self._data) + 2**20:  # int4 takes twice its room; no more than that
            raise InputError(f"{total} bytes of weights in {len(self._data)} bytes")
        codes = self._count("operators", root.OperatorCodesLength())
        kinds = [self._kind(root.OperatorCodes(i)) for i in range(codes)]
        known = {i for i, value in enumerate(values) if value.numbers is not None}
        inputs = self._indices("inputs", graph.InputsAsNumpy(), count)
        known.update(inputs)
        operations = []
        for i in range(self._count("operators", graph.OperatorsLength())):
            one = self._operation(graph.Operators(i), kinds, values)
            missing = [at for at in one.inputs if at is not None and at not in known]
            # Variables begin as zeros and are of recurrent networks, which the table refuses.
            if missing and not graph.Tensors(missing[0]).IsVariable():
                raise InputError(
                    f"{one.kind} {one.name!r} needs {values[missing[0]].name!r}, which nothing "
                    "has computed"
                )
            known.update(one.outputs)
            operations.append(one)
        outputs = self._indices("outputs", graph.OutputsAsNumpy(), count)
        if not inputs or not outputs:
            raise InputError(f"{len(inputs)} inputs and {len(outputs)} outputs")
        if nothing := [at for at in outputs if at not in known]:
            raise InputError(f"output {values[nothing[0]].name!r} that nothing computes")
        return Model(values, tuple(operations), inputs, outputs, self._behind)

    def _kind(self, code: Any) -> str:
        """The operator's name; old files have its number in a byte of its own."""
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if self._kinds.get(number) == "CUSTOM":
            return f"custom {self._text(code.CustomCode())}"
        return str(self._kinds.get(number, f"operator {number}"))

    def _operation(self, operator: Any, kinds: Sequence[str], values: Sequence[Value]) -> Operation:
        at = operator.OpcodeIndex()
        if not 0 <= at < len(kinds):
            raise InputError(f"operator {at} of {len(kinds)}")
        count = len(values)
        outputs = self._indices("outputs", operator.OutputsAsNumpy(), count)
        inputs = self._indices("inputs", operator.InputsAsNumpy(), count, optional=True)
        return Operation(
            kinds[at],
            values[outputs[0]].name if outputs else "",
            self._options(operator),
            tuple(None if i < 0 else i for i in inputs),
            outputs,
        )

    def _options(self, operator: Any) -> dict[str, Any]:
        """The operator's options by their names."""
        schema, found = self._schema, {}
        tables: list[tuple[Callable[..., Any], int, Any]] = [
            (
                schema.BuiltinOptionsCreator,
                operator.BuiltinOptionsType(),
                operator.BuiltinOptions(),
            )
        ]
        if hasattr(operator, "BuiltinOptions2Type"):
            tables.append(
                (
                    schema.BuiltinOptions2Creator,
                    operator.BuiltinOptions2Type(),
                    operator.BuiltinOptions2(),
                )
            )
        for create, kind, table in tables:
            made = create(kind, table) if kind and table is not None else None
            for key, value in vars(made).items() if made is not None else ():
                found[key] = value.tolist() if isinstance(value, np.ndarray) else value
        return found

    def _value(self, tensor: Any, buffers: int) -> Value:
        name = self._text(tensor.Name())
        type_ = _TYPES.get(tensor.Type(), f"type {tensor.Type()}")
        shape = self._shape(tensor, name)
        scales, zeros, axis = self._scales(tensor.Quantization(), shape, type_, name)
        at = tensor.Buffer()
        if not 0 <= at < max(buffers, 1):
            raise InputError(f"tensor {name!r} in buffer {at} of {buffers}")
        data = self._buffer(self._root.Buffers(at)) if at and buffers else None
        numbers = None
        if data is not None and len(data):
            if tensor.Sparsity() is not None:
                raise InputError(f"sparse weights {name!r}: export it dense")
            numbers = _numbers(data, shape, type_, name)
        return Value(name, shape, type_, scales, zeros, axis, numbers)

    def _shape(self, tensor: Any, name: str) -> tuple[int, ...]:
        if tensor.ShapeLength() > _MOST_AXES:
            raise InputError(f"tensor {name!r} of {tensor.ShapeLength()} dimensions")
        shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
        shape = tuple(1 if size == -1 else size for size in shape)  # the batch, in some files
        if any(size < 0 for size in shape) or math.prod(shape) > _MOST_ELEMENTS:
            raise InputError(f"tensor {name!r} of shape {shape}")
        return shape

    def _scales(
        self, table: Any, shape: tuple[int, ...], type_: str, name: str
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], int]:
        none = np.zeros(0), np.zeros(0, np.int64), 0
        if table is None or not table.ScaleLength():
            return none
        self._count("scales", table.ScaleLength())
        scales = np.asarray(table.ScaleAsNumpy(), np.float64)
        zeros = np.zeros(len(scales), np.int64)
        if table.ZeroPointLength():
            zeros = np.asarray(table.ZeroPointAsNumpy(), np.int64)
            if len(zeros) == 1 and len(scales) > 1:
                zeros = np.repeat(zeros, len(scales))
        axis = table.QuantizedDimension()
        many = len(scales) > 1
        fits = not many or (0 <= axis < len(shape) and shape[axis] == len(scales))
        if not fits or len(zeros) != len(scales):
            raise InputError(
                f"tensor {name!r} of shape {shape} with {len(scales)} scales and {len(zeros)} zero "
                f"points along axis {axis}"
            )
        if not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise InputError(f"tensor {name!r} with scales that are no numbers above 0")
        if not scales.all():  # of a channel without weights: whatever it stands for is 0
            scales = np.where(scales == 0, 1.0, scales)
        low, high = RANGES.get(type_, (-(2**62), 2**62))
        if (zeros < low).any() or (zeros > high).any():
            raise InputError(f"tensor {name!r} with zero points outside of {low} to {high}")
        return scales, zeros, axis if many else 0

    def _buffer(self, buffer: Any) -> NDArray[np.uint8] | None:
        """The bytes of a constant; those of large files lie behind the flatbuffer."""
        if buffer.DataLength():
            found: NDArray[np.uint8] = buffer.DataAsNumpy()
            return found
        offset, size = buffer.Offset(), buffer.Size()
        if offset <= 1 or not size:
            return None
        if offset + size > len(self._data):
            raise InputError(f"a buffer that ends at {offset + size} of {len(self._data)} bytes")
        self._behind = True
        return np.frombuffer(self._data, np.uint8, size, offset)

    def _indices(
        self, what: str, found: Any, count: int, *, optional: bool = False
    ) -> tuple[int, ...]:
        values = [] if isinstance(found, int) else found.tolist()  # 0 where there is no list
        self._count(what, len(values))
        if any(not (-1 if optional else 0) <= value < count for value in values):
            raise InputError(f"{what} {values[:8]} of {count} tensors")
        return tuple(values)

    def _count(self, what: str, number: int) -> int:
        """A length that fits into the file, at a byte an entry."""
        if number > min(_MOST_VALUES, len(self._data)):
            raise InputError(f"{number} {what}")
        return number

    @staticmethod
    def _text(text: bytes | None) -> str:
        return printable((text or b"")[:_MOST_NAME].decode(errors="replace"))


def _numbers(
    data: NDArray[np.uint8], shape: tuple[int, ...], type_: str, name: str
) -> NDArray[Any]:
    """The numbers of a constant; two of four bits lie in a byte, the first in its lower half."""
    count = math.prod(shape)
    if type_ == "int4":
        if len(data) != (count + 1) // 2:
            raise InputError(f"tensor {name!r} of shape {shape} in {len(data)} bytes")
        halves = np.stack([data & 15, data >> 4], 1).reshape(-1)[:count].astype(np.int8)
        return np.where(halves > 7, halves - 16, halves).astype(np.int8).reshape(shape)
    if type_ not in _TYPES.values():
        return np.zeros(0, np.uint8)  # texts and the like: whoever computes with it is refused
    kind = np.dtype(type_).newbyteorder("<")
    if len(data) != count * kind.itemsize:
        raise InputError(f"tensor {name!r} of shape {shape} in {len(data)} bytes")
    return np.frombuffer(data.tobytes(), kind).reshape(shape)
