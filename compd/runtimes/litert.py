"""LiteRT (TensorFlow Lite) files: full int8, hybrid, float16 or float32, on the CPU."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compd.errors import ModelError, brief, require_extra
from compd.runtimes.base import Census
from compd.runtimes.files import Opened, sha256_of, with_classes
from compd.runtimes.formats import Overrides, QParams, format_of
from compd.sizes import Size

__all__ = ["open_model"]

_IDENTIFIER = b"TFL3"
_KINDS = {"SOFTMAX": "probs", "LOGISTIC": "sigmoid"}  # of outputs, by the last operator


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open a .tflite file; without optimisation, without the XNNPACK delegate."""
    litert = require_extra("ai_edge_litert.interpreter", "litert")
    with path.open("rb") as file:
        if file.read(8)[4:] != _IDENTIFIER:
            raise ModelError(f"expected a LiteRT (TensorFlow Lite) file, got {str(path)!r}")
    resolver = litert.OpResolverType.AUTO
    if not optimise:
        resolver = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
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
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"expected one input and one output in {str(path)!r}, got {len(inputs)} and "
            f"{len(outputs)}; compd tests image classifiers"
        )
    into, out = inputs[0], outputs[0]
    signature = into.get("shape_signature", into["shape"])
    shape = tuple(None if n < 0 else int(n) for n in signature)
    batches = _Batches(interpreter, into["index"], out["index"])
    kind = _KINDS.get(_last_operator(interpreter), "logits")
    if overrides.layout is None:
        overrides = replace(overrides, layout=_usual(shape))
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
        engine="litert-cpu",
        format=with_classes(form, batches, path.name),
        call=batches,
        content_hash=sha256_of(path),
        facts={"ai_edge_litert": _version(), "delegate": "XNNPACK" if optimise else "none"},
        census=_census(interpreter),
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


def _usual(shape: tuple[int | None, ...]) -> str | None:
    """NHWC, as everywhere in LiteRT, where the shape could be either."""
    return "NHWC" if len(shape) == 4 and shape[3] in (1, 3) else None


def _qparams_of(tensor: Any) -> QParams | None:
    scale, zero_point = tensor["quantization"]
    return QParams(float(scale), int(zero_point)) if scale else None


def _last_operator(interpreter: Any) -> str:
    operators = [op["op_name"] for op in interpreter._get_ops_details()]
    while operators and operators[-1] in ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "DELEGATE"):
        operators.pop()
    return operators[-1] if operators else ""


def _census(interpreter: Any) -> Census:
    """Operators by the type of what they compute on.

    ``hybrid`` are those with float activations and int8 weights.
    """
    types = {t["index"]: np.dtype(t["dtype"]).name for t in interpreter.get_tensor_details()}
    counts: dict[str, Counter[str]] = {}
    for operator in interpreter._get_ops_details():
        if operator["op_name"] == "DELEGATE":  # what it stands for is listed, too
            continue
        seen = [types.get(i, "") for i in operator["inputs"].tolist()]
        made = [types.get(i, "") for i in operator["outputs"].tolist()]
        kind = made[0] if made else ""
        if kind == "float32" and "int8" in seen[1:] and operator["op_name"] != "DEQUANTIZE":
            kind = "hybrid"
        counts.setdefault(kind, Counter())[operator["op_name"]] += 1
    return {kind: dict(found) for kind, found in counts.items()}


def _version() -> str:
    from importlib.metadata import version

    return version("ai-edge-litert")
