"""Core ML (.mlpackage, zipped): the float model with its weights made smaller.

Prediction needs macOS. What can be judged anywhere are the weights: beside the package, a
safetensors file holds them decompressed, and :func:`with_coreml_weights` computes with them in
float32 on PyTorch. Activations in float16, as the Neural Engine computes, are not part of that.
"""

from __future__ import annotations

import copy
import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from compd.errors import CompdError, ModelError, require_extra
from compd.exporting.artifact import Artifact, Plain, Source, one_line
from compd.models.factory import trace
from compd.models.tensors import load_tensors_
from compd.system.quiet import quiet

__all__ = ["coreml_float16", "coreml_linear8", "coreml_palette8", "with_coreml_weights"]

_MARKS = ("_palettized", "_quantized", "_to_fp16")  # what coremltools puts behind a name
_NOTE = "the .safetensors beside it holds its weights decompressed, for a judge without macOS"


def coreml_float16(source: Source, config: Plain) -> Artifact:
    """Weights and activations in float16, coremltools' default."""
    del config
    return _artifact(source, lambda model: model)


def coreml_linear8(source: Source, config: Plain) -> Artifact:
    """Weights of 8 bits, symmetric, one scale for each output channel."""
    del config
    optimise = _tools("coremltools.optimize.coreml")
    how = optimise.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    how = optimise.OptimizationConfig(global_config=how)
    return _artifact(source, lambda model: optimise.linear_quantize_weights(model, how))


def coreml_palette8(source: Source, config: Plain) -> Artifact:
    """Weights as 256 values for each tensor, found by k-means."""
    del config
    optimise = _tools("coremltools.optimize.coreml")
    how = optimise.OpPalettizerConfig(mode="kmeans", nbits=8, weight_threshold=0)
    how = optimise.OptimizationConfig(global_config=how)
    return _artifact(source, lambda model: optimise.palettize_weights(model, how))


def with_coreml_weights(module: nn.Module, path: Path) -> nn.Module:
    """A float model with the decompressed weights of a Core ML package, BatchNorm folded in.

    Args:
        module: what was exported; not changed.
        path: the safetensors file beside the package.

    Returns:
        Float pixels (N, C, H, W) in 0..1 to float32 logits, on the CPU, in eval mode.

    Raises:
        CompdError: if the weights are those of another model.
    """
    folded = _folded(copy.deepcopy(module).cpu())
    load_tensors_(folded, path)
    return folded


def _tools(name: str) -> Any:
    """Import a part of coremltools, which tells at length what only macOS has."""
    with quiet():
        return require_extra(name, "coreml")


def _folded(module: nn.Module) -> nn.Module:
    """A copy with BatchNorm folded into convolutions, so that names in the package are ours."""
    return fuse(trace(module, "model")).eval()


def _artifact(source: Source, compress: Any) -> Artifact:
    ct = _tools("coremltools")
    folded = _folded(source.module)
    with quiet():
        try:
            example = torch.zeros(1, *source.shape)
            program = torch.export.export(folded, (example,)).run_decompositions({})
            _spell_out_strides_(program.graph)
            model = compress(
                ct.convert(
                    program,
                    convert_to="mlprogram",
                    minimum_deployment_target=ct.target.iOS17,
                    inputs=[ct.TensorType(name="image", shape=tuple(example.shape))],
                    outputs=[ct.TensorType(name="logits")],
                )
            )
            model.user_defined_metadata.update(source.about)
            weights = _decompressed(model, folded)
            package = _zipped(model)
        except CompdError:
            raise
        except Exception as error:
            raise ModelError(
                "expected a model that coremltools can convert, got "
                f"{source.pair.spec.model.model!r} with {one_line(error)}"
            ) from error
    files = {".zip": package, ".safetensors": save(weights)}
    return Artifact(files, source.input("1"), "logits: float32 (1, K)", (_NOTE,))


def _spell_out_strides_(graph: torch.fx.Graph) -> None:
    """Give max pools the stride that they leave to their kernel: coremltools (9) asks for one."""
    aten = torch.ops.aten
    for node in graph.nodes:
        if node.target in {aten.max_pool1d.default, aten.max_pool2d.default}:
            image, kernel, *rest = node.args
            if not rest or not rest[0]:
                node.args = (image, kernel, kernel, *rest[1:])


def _decompressed(model: Any, folded: nn.Module) -> dict[str, Tensor]:
    """The state dict of the folded model with the package's weights in it."""
    optimise = _tools("coremltools.optimize.coreml")
    found = optimise.get_weights_metadata(optimise.decompress_weights(model), weight_threshold=0)
    values = {}
    for name, weight in found.items():
        for mark in _MARKS:
            name = name.replace(mark, "")
        values[name] = torch.tensor(weight.val, dtype=torch.float32)
    state = {key: value.clone().contiguous() for key, value in folded.state_dict().items()}
    for key in state:
        value = values.get(f"p_{key.replace('.', '_')}")
        if value is not None and value.shape == state[key].shape:
            state[key] = value
        elif state[key].ndim > 1 and isinstance(
            folded.get_submodule(key.rpartition(".")[0]), nn.Conv2d | nn.Linear
        ):
            raise ModelError(f"expected the weights {key!r} in the Core ML package, got none")
    return state


def _zipped(model: Any) -> bytes:
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w") as file:
        model.save(f"{folder}/model.mlpackage")
        for path in sorted(Path(folder).rglob("*")):
            file.write(path, path.relative_to(folder), zipfile.ZIP_DEFLATED)
    return content.getvalue()
