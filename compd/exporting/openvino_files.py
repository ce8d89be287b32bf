"""OpenVINO's IR (.xml and .bin): either model as it is, or through NNCF's quantiser."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compd.errors import CompdError, ModelError, require_extra
from compd.exporting.artifact import Artifact, Plain, Source, one_line
from compd.exporting.onnx_files import float_onnx, qdq_onnx
from compd.system.quiet import quiet

__all__ = ["OpenvinoPtq", "openvino", "openvino_ptq"]

_PRESETS = ("performance", "mixed")


@dataclass(frozen=True)
class OpenvinoPtq:
    """Settings of ``nncf.quantize``."""

    preset: str = "performance"  # symmetric activations; mixed: asymmetric where they are signed

    def __post_init__(self) -> None:
        if self.preset not in _PRESETS:
            raise ModelError(f"expected preset performance or mixed, got preset={self.preset!r}")


def openvino(source: Source, config: Plain) -> Artifact:
    """A float model in float32, or the int8 model with its own scales, by way of ONNX."""
    del config
    proto = qdq_onnx(source) if source.quantised else float_onnx(source)
    return Artifact(_files(_read(proto), source), source.input())


def openvino_ptq(source: Source, config: OpenvinoPtq) -> Artifact:
    """Int8 by NNCF: ranges from all calibration rows, biases corrected, as ``nncf.quantize`` does.

    The order of rows is theirs, and the quantiser draws nothing at random.
    """
    nncf = require_extra("nncf", "openvino")
    images = source.calibration.numpy()
    rows = [image[None] for image in images]
    preset = {
        "performance": nncf.QuantizationPreset.PERFORMANCE,
        "mixed": nncf.QuantizationPreset.MIXED,
    }[config.preset]
    with quiet():
        try:
            model = nncf.quantize(
                _read(float_onnx(source)), nncf.Dataset(rows), preset=preset, subset_size=len(rows)
            )
        except CompdError:
            raise
        except Exception as error:
            raise ModelError(
                f"expected a model that nncf can quantise, got {source.pair.spec.model.model!r} "
                f"with {one_line(error)}"
            ) from error
    notes = (f"quantised by NNCF {nncf.__version__}, preset {config.preset}",)
    return Artifact(_files(model, source), source.input(), notes=notes)


def _read(proto: Any) -> Any:
    """An ``openvino.Model`` of an ``onnx.ModelProto``."""
    ov = require_extra("openvino", "openvino")
    try:
        return ov.Core().read_model(model=proto.SerializeToString())
    except Exception as error:
        raise ModelError(
            f"expected a graph that OpenVINO {ov.__version__} can read, got {one_line(error)}"
        ) from error


def _files(model: Any, source: Source) -> dict[str, bytes]:
    ov = require_extra("openvino", "openvino")
    for index, node in enumerate(model.get_ordered_ops()):
        name, _, number = node.get_friendly_name().rpartition("_")
        if name == node.get_type_name() and number.isdigit():  # counted since the process began
            node.set_friendly_name(f"{name}_of_{index}")
    for key, value in source.about.items():
        model.set_rt_info(value, key.split("."))
    with tempfile.TemporaryDirectory() as folder:
        xml = Path(folder) / "model.xml"
        ov.save_model(model, xml, compress_to_fp16=False)
        return {".xml": xml.read_bytes(), ".bin": xml.with_suffix(".bin").read_bytes()}
