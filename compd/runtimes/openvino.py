"""OpenVINO models (IR: an .xml with its .bin beside it), on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compd.errors import ModelError, brief, require_extra
from compd.models.census import counted
from compd.runtimes.formats import Overrides, format_of
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.runtimes.outputs import choose_output
from compd.sizes import Size

__all__ = ["open_model"]

_TYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "u8": "uint8", "i8": "int8"}
_HALVES = ("f16", "bf16")
_WHOLE = frozenset({"f32", "f64", "i32", "i64", "u32", "u64", "boolean", "string", "dynamic"})
_KINDS = {"Softmax": "probs", "Sigmoid": "sigmoid"}  # of outputs, by the last operator
_PASSIVE = ("Result", "Convert", "Reshape", "FakeQuantize")


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open an IR; without optimisation, quantised operators are computed in float32."""
    ov = require_extra("openvino", "openvino")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(
            f"expected {weights.name} beside {str(path)!r}, as OpenVINO writes both, got none"
        )
    core = ov.Core()
    try:
        model = core.read_model(str(path))
        if len(model.inputs) != 1:
            raise ModelError(
                f"expected one input in {str(path)!r}, got {len(model.inputs)}; compd tests image "
                "classifiers"
            )
        # an ONNX file may run with the batch that it names, and so may what is made of it
        settings: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if not optimise:
            settings["LP_TRANSFORMS_MODE"] = "NO"
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(
            f"expected a model that OpenVINO {ov.__version__} can run, got {str(path)!r} "
            f"({brief(error)})"
        ) from error
    names = [sorted(output.get_names()) for output in model.outputs]
    scores = choose_output(names, overrides.output_name, path.name)
    sizes = model.input(0).get_partial_shape()
    shape = tuple(int(n.get_length()) if n.is_static else None for n in sizes)
    dtype = _TYPES.get(model.input(0).get_element_type().get_type_name(), "?")

    def call(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(compiled(x)[scores])

    form = format_of(
        shape, dtype, overrides, size=size, name=path.name, output=_kind_of_output(model, scores)
    )
    return Opened(
        engine="openvino-cpu",
        format=with_classes(form, call, path.name),
        call=call,
        content_hash=sha256_of(path, weights),
        facts={"openvino": ov.__version__},
        census=counted(_operators_by_type(compiled)),
        compressed=_compressed(model),
    )


def _kind_of_output(model: Any, at: int) -> str:
    node = model.output(at).get_node()
    while node.get_type_name() in _PASSIVE:
        node = node.input(0).get_source_output().get_node()
    return _KINDS.get(node.get_type_name(), "logits")


def _compressed(model: Any) -> tuple[str, ...]:
    """Types of weights of few bits, and operators that quantise."""
    found = set()
    for node in model.get_ops():
        name = node.get_type_name()
        kind = node.get_output_element_type(0).get_type_name() if node.get_output_size() else ""
        if name == "Constant" and kind not in _WHOLE:
            found.add(_TYPES.get(kind, kind))
        elif "Quantize" in name:
            found.add(name)
    return tuple(sorted(found))


def _operators_by_type(compiled: Any) -> Iterator[tuple[str, str]]:
    """Operators of the compiled model, and the precision that they run in.

    The runtime names the type of what comes in, weights too; halves that a float32 kernel takes are
    computed in float32.
    """
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()

        def said(name: str, facts: Any = facts) -> str:
            return str(facts[name].astype(str)) if name in facts else ""

        precision = said("runtimePrecision") or "?"
        if precision in _HALVES and said("primitiveType").endswith("_f32"):
            precision = "f32"
        yield _TYPES.get(precision, precision), said("layerType") or node.get_type_name()
