"""The float model through ONNX Runtime's own quantiser, as people ship it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compd.errors import CompdError, ModelError, require_extra
from compd.exporting.artifact import Artifact, Source, one_line
from compd.exporting.onnx_files import float_onnx, with_metadata
from compd.system.quiet import quiet

__all__ = ["OnnxPtq", "onnx_ptq"]

_TYPES = {"uint8": "QUInt8", "int8": "QInt8"}


@dataclass(frozen=True)
class OnnxPtq:
    """Settings of ``onnxruntime.quantization.quantize_static``; weights are int8."""

    activations: str = "uint8"
    reduce_range: bool = False  # 7 bits of weights, for CPUs with AVX2 and no VNNI
    per_channel: bool = True

    def __post_init__(self) -> None:
        if self.activations not in _TYPES:
            raise ModelError(
                f"expected activations uint8 or int8, got activations={self.activations!r}"
            )


def onnx_ptq(source: Source, config: OnnxPtq) -> Artifact:
    """QDQ form, ranges from minima and maxima over all calibration rows."""
    onnx = require_extra("onnx", "onnx")
    ort = require_extra("onnxruntime.quantization", "onnx")
    images = source.calibration.numpy()

    class Reader(ort.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.rows = iter(images)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.rows, None)
            return None if image is None else {"image": image[None]}

    with tempfile.TemporaryDirectory() as folder, quiet():
        ready, done = Path(folder) / "ready.onnx", Path(folder) / "done.onnx"
        try:
            # BatchNorm is folded by torch's exporter; what is left to do is to infer shapes
            ort.quant_pre_process(
                float_onnx(source), str(ready), skip_optimization=True, skip_symbolic_shape=True
            )
            ort.quantize_static(
                str(ready),
                str(done),
                Reader(),
                quant_format=ort.QuantFormat.QDQ,
                activation_type=getattr(ort.QuantType, _TYPES[config.activations]),
                weight_type=ort.QuantType.QInt8,
                per_channel=config.per_channel,
                reduce_range=config.reduce_range,
            )
        except CompdError:
            raise
        except Exception as error:
            raise ModelError(
                "expected a model that onnxruntime.quantization can quantise, got "
                f"{source.pair.spec.model.model!r} with {one_line(error)}"
            ) from error
        model = onnx.load(done)
    bits = f"activations {config.activations}, weights int8" + (
        " of 7 bits" if config.reduce_range else ""
    )
    grain = "a scale for each output channel" if config.per_channel else "one scale for each tensor"
    notes = (f"quantised by ONNX Runtime {_version()}: {bits}, {grain}",)
    return Artifact({".onnx": with_metadata(model, source)}, source.input(), notes=notes)


def _version() -> str:
    return str(require_extra("onnxruntime", "onnx").__version__)
