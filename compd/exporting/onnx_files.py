"""ONNX: a float model, and an int8 model with its own scales (QDQ form)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from compd.compress.explicit import explicit
from compd.errors import ModelError, require_extra
from compd.exporting.artifact import Artifact, Plain, Source, one_line
from compd.exporting.biases import quantise_biases_
from compd.system.quiet import quiet

__all__ = ["float_onnx", "onnx", "onnx_qdq", "qdq_onnx", "with_metadata"]


def onnx(source: Source, config: Plain) -> Artifact:
    """The float model as it is; input ``image``, output ``logits``, any number of images."""
    del config
    return Artifact({".onnx": with_metadata(float_onnx(source), source)}, source.input())


def onnx_qdq(source: Source, config: Plain) -> Artifact:
    """The int8 model with the scales and zero points that the shadow was calibrated or trained to.

    Weights are int8 with one scale for each output channel, biases int32, and activations pass
    through uint8, where they saturate at 0 and 255, as the kernels of PyTorch do.
    """
    del config
    model = qdq_onnx(source)
    left = quantise_biases_(model)
    notes = (f"biases kept as floats, because int32 does not hold them: {left}",) if left else ()
    return Artifact({".onnx": with_metadata(model, source)}, source.input(), notes=notes)


def float_onnx(source: Source) -> Any:
    """The float model as an ``onnx.ModelProto``."""
    return _graph(source.module, source)


def qdq_onnx(source: Source) -> Any:
    """The int8 model as an ``onnx.ModelProto``, its biases still floats."""
    return _graph(explicit(source.module), source)


def with_metadata(model: Any, source: Source) -> bytes:
    """The bytes of a model that says what it expects."""
    helper = require_extra("onnx.helper", "onnx")
    helper.set_model_props(model, source.about)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _graph(module: nn.Module, source: Source) -> Any:
    checker = require_extra("onnx.checker", "onnx")
    require_extra("onnxscript", "onnx")
    example, any_number = torch.zeros(2, *source.shape), torch.export.Dim("N")
    with quiet():
        try:
            # by hand: given a module, torch.onnx.export goes on where a batch cannot be of any size
            exported = torch.export.export(module, (example,), dynamic_shapes=({0: any_number},))
            program = torch.onnx.export(
                exported, input_names=["image"], output_names=["logits"], verbose=False
            )
            model: Any = program.model_proto  # type: ignore[union-attr]
            _forget_the_source_(model)
            checker.check_model(model)
        except Exception as error:
            raise ModelError(
                "expected a model that torch.onnx.export can write for any number of images, got "
                f"{source.pair.spec.model.model!r} with {one_line(error)}"
            ) from error
    return model


def _forget_the_source_(model: Any) -> None:
    """Take out stack traces: they name folders of this machine, and change from run to run."""
    graph = model.graph
    for part in (
        graph,
        *graph.node,
        *graph.value_info,
        *graph.input,
        *graph.output,
        *graph.initializer,
        *model.functions,
    ):
        part.doc_string = ""
        del part.metadata_props[:]
