"""Small TFLite files, operator by operator, and what LiteRT answers to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

schema: Any = pytest.importorskip(
    "ai_edge_litert.schema_py_generated", reason="needs the extra litert"
)
flatbuffers: Any = pytest.importorskip("flatbuffers", reason="needs the extra litert")

__all__ = ["File", "answers", "edited", "schema"]

_TYPES = {
    "float32": 0,
    "float16": 1,
    "int32": 2,
    "uint8": 3,
    "int64": 4,
    "int16": 7,
    "int8": 9,
    "int4": 17,
}


class File:
    """A graph that grows; tensors are told by their numbers."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs, self.model.operatorCodes = [self.graph], []
        self.model.buffers = [schema.BufferT()]
        self.graph.inputs = []

    def tensor(
        self,
        shape: Sequence[int],
        kind: str = "float32",
        scale: Any = None,
        zero: Any = 0,
        *,
        axis: int = 0,
        numbers: NDArray[Any] | None = None,
    ) -> int:
        """A tensor: quantised if it has a scale, constant if it has numbers."""
        one = schema.TensorT()
        one.name = f"t{len(self.graph.tensors)}".encode()
        one.shape, one.type, one.buffer = list(shape), _TYPES[kind], 0
        if scale is not None:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.broadcast_to(np.asarray(zero, np.int64), quantisation.scale.shape)
            quantisation.zeroPoint, quantisation.quantizedDimension = zeros.copy(), axis
            one.quantization = quantisation
        if numbers is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(numbers).tobytes(), np.uint8)
            one.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(one)
        return len(self.graph.tensors) - 1

    def constant(self, numbers: Any, kind: str = "int32") -> int:
        """A constant without a scale."""
        made = np.asarray(numbers, kind)
        return self.tensor(made.shape, kind, numbers=made)

    def input(self, shape: Sequence[int], kind: str = "float32", *grid: Any) -> int:
        """The image."""
        at = self.tensor(shape, kind, *grid)
        self.graph.inputs = [at]
        return at

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> None:
        """An operator; ``name`` of its options where they are called otherwise."""
        number = getattr(schema.BuiltinOperator, kind)
        codes = [code.builtinCode for code in self.model.operatorCodes]
        if number not in codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = 1  # the kernel looks at types alone
            self.model.operatorCodes.append(code)
            codes.append(number)
        one = schema.OperatorT()
        one.opcodeIndex = codes.index(number)
        one.inputs, one.outputs = list(inputs), list(outputs)
        name = name or _camel(kind)
        made = getattr(schema, f"{name}OptionsT", None)
        if made is not None:
            one.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name}Options")
            one.builtinOptions = made()
            for key, value in (options or {}).items():
                assert hasattr(one.builtinOptions, key), key
                setattr(one.builtinOptions, key, value)
        self.graph.operators.append(one)

    def bytes(self, *outputs: int) -> bytes:
        """The file, with these outputs."""
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1 << 14)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def answers(content: bytes, x: NDArray[Any], *, reference: bool = True) -> list[NDArray[Any]]:
    """What LiteRT answers to one image: of reference kernels, or of the delegate."""
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    kinds = litert.OpResolverType
    interpreter = litert.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=kinds.BUILTIN_REF if reference else kinds.AUTO,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return [interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()]


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """The same file after a change of its tables."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    edit(model)
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _camel(kind: str) -> str:
    words = {"2D": "2D", "V2": "V2"}
    return "".join(words.get(part, part.capitalize()) for part in kind.split("_"))
