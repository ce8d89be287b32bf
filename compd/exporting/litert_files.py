"""LiteRT (.tflite): a float model, the int8 model with its own scales, or Google's quantiser.

Files take one image a call, in NCHW as everywhere in compd: the converter puts a transposition in
front of the first convolution. A batch of any size is not on offer, because the converter (0.10)
fails on models that were exported with one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compd.compress.explicit import explicit
from compd.errors import ModelError, require_extra
from compd.exporting.artifact import Artifact, Plain, Source, one_line
from compd.exporting.litert_output import float_output, weights_within
from compd.system.quiet import quiet

__all__ = ["litert", "litert_float16", "litert_int8", "litert_ptq"]

_OUTPUT = "logits: float32 (1, K)"


def litert(source: Source, config: Plain) -> Artifact:
    """The float model in float32."""
    del config
    return _artifact(_convert(source.module, source), source)


def litert_float16(source: Source, config: Plain) -> Artifact:
    """Weights stored in float16; what a runtime computes in is its own choice (on CPUs float32)."""
    del config
    recipe = _tools("ai_edge_quantizer.recipe_manager")
    qtyping = _tools("ai_edge_quantizer.qtyping")
    algorithm = _tools("ai_edge_quantizer.algorithm_manager").AlgorithmName
    manager = recipe.RecipeManager()
    manager.add_quantization_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=algorithm.FLOAT_CASTING,
    )
    content = _quantise(_convert(source.module, source), manager.get_quantization_recipe(), None)
    return _artifact(content, source, "weights in float16 by ai-edge-quantizer")


def litert_int8(source: Source, config: Plain) -> Artifact:
    """The int8 model with the scales and zero points that the shadow was calibrated or trained to.

    Activations are int8 here, with zero points moved by 128, and biases int32. Weights may hold
    -128, which LiteRT's own quantisers leave out; its reference kernels and XNNPACK compute it.
    """
    del config
    config_of = _tools("litert_torch.quantize.quant_config")
    quantizer = _tools("litert_torch.quantize.pt2e_quantizer")
    # It quantises nothing here: it tells the converter to turn the operators into integer kernels.
    marker = quantizer.PT2EQuantizer().set_global(
        quantizer.get_symmetric_quantization_config(is_per_channel=True)
    )
    content = _convert(
        explicit(source.module, signed=True),
        source,
        quant_config=config_of.QuantConfig(pt2e_quantizer=marker),
    )
    return _artifact(float_output(content), source)


def litert_ptq(source: Source, config: Plain) -> Artifact:
    """Int8 weights and activations by ai-edge-quantizer, ranges from all calibration rows."""
    del config
    images = source.calibration.numpy()
    recipe = _tools("ai_edge_quantizer.recipe").static_wi8_ai8()
    floats = {"regex": ".*", "algorithm_key": "no_quantize"}  # image and logits stay floats
    recipe += [{**floats, "operation": "INPUT"}, {**floats, "operation": "OUTPUT"}]
    content = _quantise(_convert(source.module, source), recipe, images)
    return _artifact(content, source, "quantised by ai-edge-quantizer, recipe static_wi8_ai8")


def _tools(name: str) -> Any:
    """Import a part of the converter or the quantiser."""
    with quiet():
        return require_extra(name, "litert-export")


def _artifact(content: bytes, source: Source, *notes: str) -> Artifact:
    return Artifact({".tflite": weights_within(content)}, source.input(batch="1"), _OUTPUT, notes)


class _Named(nn.Module):
    """A model with the names that a signature of the file has."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Float pixels (1, C, H, W) in 0..1 -> ``logits`` (1, K)."""
        return {"logits": self.module(image)}


def _convert(module: nn.Module, source: Source, **settings: Any) -> bytes:
    torch_to_litert = _tools("litert_torch")
    with quiet():
        try:
            model = torch_to_litert.convert(
                _Named(module).eval(),
                sample_kwargs={"image": torch.zeros(1, *source.shape)},
                **settings,
            )
            content: bytes = model.model_content()
        except Exception as error:
            raise ModelError(
                "expected a model that litert-torch can convert, got "
                f"{source.pair.spec.model.model!r} with {one_line(error)}"
            ) from error
    return content


def _quantise(content: bytes, recipe: Any, images: Any) -> bytes:
    quantizer = _tools("ai_edge_quantizer.quantizer")
    with quiet():
        try:
            quantiser = quantizer.Quantizer(content, recipe)
            ranges = None
            if images is not None:
                rows = [{"image": image[None]} for image in images]
                ranges = quantiser.calibrate({"serving_default": rows}, num_threads=1)
            quantised = quantiser.quantize(ranges).quantized_model
        except Exception as error:
            raise ModelError(
                f"expected a model that ai-edge-quantizer can quantise, got {one_line(error)}"
            ) from error
    return bytes(quantised)
