"""OpenVINO models (IR: an .xml with its .bin beside it), on the CPU."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compd.errors import ModelError, brief, require_extra
from compd.runtimes.base import Census
from compd.runtimes.files import Opened, sha256_of, with_classes
from compd.runtimes.formats import Overrides, format_of
from compd.sizes import Size

__all__ = ["open_model"]

_TYPES = {"f32": "float32", "f16": "float16", "u8": "uint8", "i8": "int8"}
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
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ModelError(
                f"expected one input and one output in {str(path)!r}, got {len(model.inputs)} and "
                f"{len(model.outputs)}; compd tests image classifiers"
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
    sizes = model.input(0).get_partial_shape()
    shape = tuple(int(n.get_length()) if n.is_static else None for n in sizes)
    dtype = _TYPES.get(model.input(0).get_element_type().get_type_name(), "?")

    def call(x: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(compiled(x)[0])

    form = format_of(
        shape, dtype, overrides, size=size, name=path.name, output=_kind_of_output(model)
    )
    return Opened(
        engine="openvino-cpu",
        format=with_classes(form, call, path.name),
        call=call,
        content_hash=sha256_of(path, weights),
        facts={"openvino": ov.__version__},
        census=_census(compiled),
    )


def _kind_of_output(model: Any) -> str:
    node = model.output(0).get_node()
    while node.get_type_name() in _PASSIVE:
        node = node.input(0).get_source_output().get_node()
    return _KINDS.get(node.get_type_name(), "logits")


def _census(compiled: Any) -> Census:
    """Operators of the compiled model by the precision that they run in."""
    counts: dict[str, Counter[str]] = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        facts = node.get_rt_info()
        kind = str(facts["layerType"].astype(str)) if "layerType" in facts else node.get_type_name()
        if kind in ("Input", "Output", "Constant", "Const", "Parameter", "Result"):
            continue
        precision = facts["runtimePrecision"].astype(str) if "runtimePrecision" in facts else "?"
        name = _TYPES.get(precision, precision)
        counts.setdefault(name, Counter())[kind] += 1
    return {kind: dict(found) for kind, found in counts.items()}
