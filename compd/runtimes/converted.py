"""A file as a differentiable module: what a search takes gradients from."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn

from compd.errors import ModelError
from compd.models.inputs import FEWEST, to_input
from compd.runtimes.batching import Batching, batching_of, probe_images
from compd.runtimes.files import FileRuntime
from compd.runtimes.formats import InputFormat
from compd.runtimes.torch_runtimes import FloatRuntime

if TYPE_CHECKING:
    import onnx

__all__ = [
    "ConvertedFile",
    "Saturation",
    "converted_file",
    "model_of",
    "quantised_here",
    "saturating",
    "saturation_by_layer",
]


def converted_file(runtime: FileRuntime, *, saturate: bool = False) -> ConvertedFile:
    """Convert a file to torch.

    Args:
        runtime: an ONNX, a TFLite or an OpenVINO file.
        saturate: whether an ONNX file's int8 layers add as they do on x86 CPUs without VNNI
            (:mod:`compd.onnx.saturation`).

    Returns:
        Float pixels (N, C, H, W), RGB, in 0..1 to logits (N, K), in eval mode on the CPU.

    Raises:
        CompdError: if the file is of another kind, or has an operator without a counterpart.
    """
    form = runtime.format
    graph = _graph_of(runtime, saturate)
    module = ConvertedFile(graph, form).eval()
    images = probe_images(form.channels, form.height, form.width)
    with torch.inference_mode():
        found, _ = batching_of(lambda part: module(to_input(part)), images)
    if found is not Batching.ANY:
        module.alone, module.steady_from = True, 1
    return module


def _graph_of(runtime: FileRuntime, saturate: bool) -> fx.GraphModule:
    suffix, shape = runtime.path.suffix.lower(), runtime.format.shape[1:]
    if suffix == ".onnx":
        from compd.onnx import to_module
        from compd.onnx.saturation import saturating as saturated

        model = model_of(runtime)
        return to_module(saturated(model) if saturate else model, shape=shape)
    if suffix == ".tflite" and not saturate:
        from compd import tflite

        doubling = runtime.overrides.engine in ("reference", "micro")
        output = runtime.overrides.output_name
        file = tflite.read_tflite(runtime.path)
        return tflite.to_module(file, shape=shape, output=output, doubling=doubling)
    if suffix == ".xml" and not saturate:
        from compd.onnx import to_module
        from compd.onnx.from_openvino import read_openvino

        ir = read_openvino(runtime.path, runtime.overrides.output_name)
        return to_module(ir, shape=shape)
    raise ModelError(
        f"expected an ONNX, a TFLite or an OpenVINO file to convert, got {runtime.path.name!r}; "
        "there are no gradients through it"
    )


def model_of(runtime: FileRuntime) -> onnx.ModelProto:
    """The graph of an ONNX file, as far as the output needs it that is asked for."""
    from compd.onnx import read_onnx
    from compd.onnx.parts import keep_output_

    model = read_onnx(runtime.path)
    if runtime.overrides.output_name is not None:
        keep_output_(model, runtime.overrides.output_name)
    return model


def quantised_here(module: ConvertedFile, images: Tensor) -> ConvertedFile:
    """A converted float file, rounded to 8 bits here.

    Args:
        module: from :func:`converted_file`; not changed.
        images: uint8 (N, C, H, W) to set ranges with.
    """
    from compd.onnx.quantise import quantised

    made = copy.copy(module)
    made._modules = dict(module._modules)
    with torch.inference_mode():
        x = module.to_input(to_input(images))
    made.network = quantised(module.network, x)
    return made.eval()


def saturating(runtime: FileRuntime) -> FloatRuntime:
    """A file as a CPU without VNNI would answer, emulated.

    Raises:
        CompdError: if the file is no ONNX file, or none of its layers can saturate.
    """
    from compd.onnx.saturation import risks

    if not any(risk.risky for risk in risks(model_of(runtime))):
        raise ModelError(
            f"expected int8 layers whose sums can saturate, got none in {runtime.path.name!r}: "
            "its weights have 7 bits, or it is not QDQ"
        )
    module = converted_file(runtime, saturate=True)
    return FloatRuntime(module, torch.device("cpu"), "emulated, 16-bit sums")


class ConvertedFile(nn.Module):
    """What :class:`InputFormat` does before and after a file runs, with gradients."""

    steady_from = FEWEST  # images; its matrix products do not depend on their rows
    alone = False  # whether ranges are those of a whole batch, so that it takes one image at a time
    mean: Tensor
    std: Tensor

    network: fx.GraphModule  # not "graph": torch.fx keeps its own under that name

    def __init__(self, graph: fx.GraphModule, form: InputFormat) -> None:
        super().__init__()
        self.network = graph
        low, high = form.range
        mean, std = (torch.tensor(each).reshape(1, -1, 1, 1) for each in form.normalisation)
        # (low + x * (high - low) - mean) / std
        self.register_buffer("mean", (mean - low) / (high - low))
        self.register_buffer("std", std / (high - low))
        self._nhwc, self._bgr = form.layout == "NHWC", form.bgr
        self._answers = form.answers
        self._grid = form.qparams
        self._ends: tuple[int, int] | None = None
        if "int" in form.dtype:
            ends = torch.iinfo(getattr(torch, form.dtype))
            self._ends = ends.min, ends.max

    def to_input(self, x: Tensor) -> Tensor:
        """Float pixels in 0..1 as the graph takes them."""
        if self._bgr:
            x = x.flip(1)
        x = (x - self.mean) / self.std
        if self._ends is not None:  # levels are whole numbers already; so are a search's steps
            if self._grid is not None:
                x = x / self._grid.scale + self._grid.zero_point
            x = x + (x.round().clamp(*self._ends) - x).detach()
        if self._nhwc:
            x = x.permute(0, 2, 3, 1)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Float pixels (N, C, H, W), RGB, in 0..1 to logits (N, K)."""
        x = self.to_input(x)
        parts = torch.split(x, 1) if self.alone else (x,)
        logits = torch.cat([self.network(part).flatten(1) for part in parts])
        return self._answers.logits(logits, "a converted file")


@dataclass(frozen=True)
class Saturation:
    """What saturates in one layer."""

    layer: str
    kind: str  # operator
    risky: float  # share of neighbouring weights whose products can exceed 16 bits
    changed: float  # share of sums that came out otherwise on these images
    worst: float  # largest difference, in parts of the largest exact sum


def saturation_by_layer(runtime: FileRuntime, images: Tensor) -> tuple[Saturation, ...]:
    """Exact against saturating sums, layer by layer, on the emulated file.

    Args:
        runtime: an ONNX file.
        images: uint8 (N, C, H, W).

    Raises:
        CompdError: as :func:`saturating`.
    """
    from compd.onnx.saturation import observed, risks

    module = converted_file(runtime, saturate=True)
    seen = observed(module.network, module.to_input(to_input(images)))
    return tuple(
        Saturation(risk.node, risk.kind, risk.risky / max(1, risk.pairs), changed, worst)
        for risk, (changed, worst) in zip(risks(model_of(runtime)), seen, strict=True)
    )
