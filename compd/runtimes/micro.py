"""TFLite files in the interpreter of microcontrollers: TensorFlow Lite Micro, reference kernels."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import ModelError, brief, require_extra
from compd.models.census import counted
from compd.runtimes.batching import Batching
from compd.runtimes.formats import Overrides, QParams, format_of
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.runtimes.outputs import choose_output
from compd.sizes import Size
from compd.system.quiet import without_chatter
from compd.tflite import read_tflite
from compd.tflite.model import Model, Operation, Value
from compd.wording import command

__all__ = ["open_micro", "usual_layout"]

_CHATTER = re.compile(rb"(tensorflow/lite|Node |Failed to |Didn't find )[^\n]*\n")  # of a refusal
_ARENA = 1 << 20  # bytes, beside what tensors take
_MOST_ARENA = 1 << 30
_ENDS = {"SOFTMAX": "probs", "LOGISTIC": "sigmoid"}
_MOVES = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")


def open_micro(path: Path, overrides: Overrides, size: Size | None) -> Opened:
    """Open a .tflite file; it takes one image a call.

    Raises:
        CompdError: also if an operator is none that microcontrollers have.
    """
    runtime = require_extra("tflite_micro", "tflite-micro").runtime
    model = read_tflite(path)
    into, names = model.values[model.inputs[0]], [[model.values[i].name] for i in model.outputs]
    if len(model.inputs) != 1:
        raise ModelError(
            f"expected one input in {str(path)!r}, got {len(model.inputs)}; compd tests image "
            "classifiers"
        )
    if model.behind:  # it takes them for empty, and answers all the same
        raise ModelError(
            "expected weights within the flatbuffer, as microcontrollers read them, got some "
            f"behind it in {str(path)!r}; {command('export', to='litert-ptq')} writes them so"
        )
    which = choose_output(names, overrides.output_name, path.name)
    out = model.values[model.outputs[which]]
    data = path.read_bytes()
    try:
        with without_chatter(_CHATTER):
            interpreter = runtime.Interpreter.from_bytes(data, arena_size=_arena(model))
    except Exception as error:  # of classes of its own, or whatever its binding raises
        raise ModelError(
            f"expected a file that TensorFlow Lite Micro can run, got {str(path)!r} "
            f"({brief(error)})"
        ) from error

    def call(x: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_input(x, 0)
        interpreter.invoke()
        return np.array(interpreter.get_output(which))

    if overrides.layout is None:
        overrides = replace(overrides, layout=usual_layout(into.shape))
    form = format_of(
        (1, *into.shape[1:]),
        into.type,
        overrides,
        size=size,
        name=path.name,
        output=_ENDS.get(_last(model, model.outputs[which]), "logits"),
        qparams=_qparams(into),
        output_qparams=_qparams(out),
    )
    return Opened(
        engine="tflite-micro",
        format=with_classes(form, call, path.name),
        call=call,
        content_hash=sha256_of(path),
        facts={"tflite_micro": _version(), "delegate": "none"},
        census=counted((_type(model, one), one.kind) for one in model.operations),
        can_be_plain=False,
        batching=Batching.ONE,
        compressed=tuple(sorted({v.type for v in model.values if v.quantised})),
    )


def usual_layout(shape: tuple[int | None, ...]) -> str | None:
    """NHWC, as everywhere in TFLite, where the shape could be either."""
    return "NHWC" if len(shape) == 4 and shape[3] in (1, 3) else None


def _arena(model: Model) -> int:
    """Bytes that hold all tensors at once, and what the interpreter keeps of them."""
    each = (4 * math.prod(v.shape) + 512 for v in model.values if v.numbers is None)
    return min(_MOST_ARENA, _ARENA + 2 * sum(each) + 1024 * len(model.operations))


def _last(model: Model, output: int) -> str:
    """The operator that makes a tensor, past those that only move or convert it."""
    makers: dict[int, Operation] = {at: one for one in model.operations for at in one.outputs}
    while output in makers:
        maker = makers.pop(output)
        if maker.kind not in _MOVES or maker.inputs[0] is None:
            return maker.kind
        output = maker.inputs[0]
    return ""


def _type(model: Model, operation: Operation) -> str:
    return model.values[operation.outputs[0]].type if operation.outputs else ""


def _qparams(value: Value) -> QParams | None:
    return QParams(value.scale, value.zero) if value.quantised else None


def _version() -> str:
    from importlib.metadata import version

    return version("tflite-micro")
