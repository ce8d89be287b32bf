"""LiteRT (TensorFlow Lite) files: full int8, hybrid, float16 or float32, on the CPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compd.errors import ModelError, brief, require_extra
from compd.models.census import counted
from compd.runtimes.formats import Overrides, QParams, format_of
from compd.runtimes.micro import open_micro, usual_layout
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.runtimes.outputs import choose_output
from compd.sizes import Size
from compd.system.quiet import without_chatter

__all__ = ["open_model"]

_IDENTIFIER = b"TFL3"
_RESOLVERS = {
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_CHATTER = re.compile(rb"INFO: [^\n]*\n")  # of each delegate; no setting of the package ends it
_FEW = ("int8", "uint8", "int16", "uint16")  # types of tensors that have a scale
_KINDS = {"SOFTMAX": "probs", "LOGISTIC": "sigmoid"}  # of outputs, by the last operator


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open a .tflite file; without optimisation, without the XNNPACK delegate."""
    with path.open("rb") as file:
        if file.read(8)[4:] != _IDENTIFIER:
            raise ModelError(f"expected a LiteRT (TensorFlow Lite) file, got {str(path)!r}")
    engine = overrides.engine or ("xnnpack" if optimise else "builtin")
    if engine == "micro":
        return open_micro(path, overrides, size)
    litert = require_extra("ai_edge_litert.interpreter", "litert")
    resolver = getattr(litert.OpResolverType, _RESOLVERS[engine])
    try:
        with without_chatter(_CHATTER):
            interpreter = litert.Interpreter(
                model_path=str(path),
                num_threads=torch.get_num_threads(),
                experimental_op_resolver_type=resolver,
            )
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"expected a file that LiteRT can run, got {str(path)!r} ({brief(error)})"
        ) from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1:
        raise ModelError(
            f"expected one input in {str(path)!r}, got {len(inputs)}; compd tests image classifiers"
        )
    names = [[output["name"]] for output in outputs]
    into, out = inputs[0], outputs[choose_output(names, overrides.output_name, path.name)]
    signature = into.get("shape_signature", into["shape"])
    shape = tuple(None if n < 0 else int(n) for n in signature)
    batches = _Batches(interpreter, into["index"], out["index"])
    kind = _KINDS.get(_last_operator(interpreter, out["index"]), "logits")
    if overrides.layout is None:
        overrides = replace(overrides, layout=usual_layout(shape))
    # A file that fixes its batch can be resized and runs, and what it answers is wrong.
    form = format_of(
        shape,
        np.dtype(into["dtype"]).name,
        overrides,
        size=size,
        name=path.name,
        output=kind,
        qparams=_qparams_of(into),
        output_qparams=_qparams_of(out),
    )
    return Opened(
        engine="litert-reference" if engine == "reference" else "litert-cpu",
        format=with_classes(form, batches, path.name),
        call=batches,
        content_hash=sha256_of(path),
        facts={
            "ai_edge_litert": _version(),
            "delegate": "XNNPACK" if engine == "xnnpack" else "none",
        },
        can_be_plain=engine == "xnnpack",
        census=counted(_operators_by_type(interpreter)),
        compressed=_compressed(interpreter),
    )


class _Batches:
    """Runs an interpreter on batches of any size that it can be resized to."""

    def __init__(self, interpreter: Any, into: int, out: int) -> None:
        self._interpreter, self._into, self._out = interpreter, into, out
        self._shape: tuple[int, ...] = ()

    def __call__(self, x: NDArray[Any]) -> NDArray[Any]:
        shape, self._shape = self._shape, ()  # not known if something fails on the way
        if x.shape != shape:
            self._interpreter.resize_tensor_input(self._into, x.shape)
            self._interpreter.allocate_tensors()
        self._interpreter.set_tensor(self._into, x)
        self._interpreter.invoke()
        answer: NDArray[Any] = self._interpreter.get_tensor(self._out)
        self._shape = x.shape
        return answer


def _qparams_of(tensor: Any) -> QParams | None:
    scale, zero_point = tensor["quantization"]
    return QParams(float(scale), int(zero_point)) if scale else None


def _last_operator(interpreter: Any, tensor: int) -> str:
    """The operator that makes a tensor, past those that only move or convert it."""
    makers = {
        int(made): operator
        for operator in interpreter._get_ops_details()
        if operator["op_name"] != "DELEGATE"
        for made in operator["outputs"]
    }
    while tensor in makers:
        maker = makers.pop(tensor)
        if maker["op_name"] not in ("DEQUANTIZE", "QUANTIZE", "RESHAPE"):
            return str(maker["op_name"])
        tensor = int(maker["inputs"][0])
    return ""


def _compressed(interpreter: Any) -> tuple[str, ...]:
    """Types of quantised and half-precision tensors, and operators that quantise."""
    found = {name for name in _names(interpreter) if "QUANT" in name}
    for tensor in interpreter.get_tensor_details():
        kind = np.dtype(tensor["dtype"]).name
        scales = tensor["quantization_parameters"]["scales"]
        if "float16" in kind or (kind in _FEW and len(scales)):
            found.add(kind)
    return tuple(sorted(found))


def _names(interpreter: Any) -> list[str]:
    return [operator["op_name"] for operator in interpreter._get_ops_details()]


def _operators_by_type(interpreter: Any) -> Iterator[tuple[str, str]]:
    """Operators and the type of what they compute on.

    ``hybrid`` are those with float activations and int8 weights.
    """
    types = {t["index"]: np.dtype(t["dtype"]).name for t in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        seen = [types.get(i, "") for i in operator["inputs"].tolist()]
        made = [types.get(i, "") for i in operator["outputs"].tolist()]
        kind = made[0] if made else ""
        if kind == "float32" and "int8" in seen[1:] and operator["op_name"] != "DEQUANTIZE":
            kind = "hybrid"
        yield kind, operator["op_name"]  # what a delegate stands for is listed, too


def _version() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")
