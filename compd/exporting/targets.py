"""The table of targets."""

from __future__ import annotations

from compd.exporting.artifact import Target
from compd.exporting.coreml_files import coreml_float16, coreml_linear8, coreml_palette8
from compd.exporting.litert_files import litert, litert_float16, litert_int8, litert_ptq
from compd.exporting.onnx_files import onnx, onnx_qdq
from compd.exporting.onnx_ptq import OnnxPtq, onnx_ptq
from compd.exporting.openvino_files import OpenvinoPtq, openvino, openvino_ptq
from compd.exporting.torchao_files import torchao
from compd.exporting.weights import safetensors
from compd.registry import Registry

__all__ = ["TARGETS"]

_FLOAT, _INT8, _EITHER = ("float",), ("int8",), ("float", "int8")

TARGETS: Registry[Target] = Registry(
    "target",
    {
        "onnx": Target("ONNX, float32", ".onnx", _FLOAT, onnx),
        "onnx-qdq": Target("ONNX, int8 with our scales", ".onnx", _INT8, onnx_qdq),
        "onnx-ptq": Target(
            "ONNX, int8 by ONNX Runtime", ".onnx", _FLOAT, onnx_ptq, calibrates=True, config=OnnxPtq
        ),
        "openvino": Target(
            "OpenVINO IR, either model as it is", ".xml", _EITHER, openvino, beside=".bin"
        ),
        "openvino-ptq": Target(
            "OpenVINO IR, int8 by NNCF",
            ".xml",
            _FLOAT,
            openvino_ptq,
            calibrates=True,
            config=OpenvinoPtq,
            beside=".bin",
        ),
        "litert": Target("LiteRT, float32", ".tflite", _FLOAT, litert),
        "litert-float16": Target("LiteRT, float16 weights", ".tflite", _FLOAT, litert_float16),
        "litert-int8": Target("LiteRT, int8 with our scales", ".tflite", _INT8, litert_int8),
        "litert-ptq": Target(
            "LiteRT, int8 by ai-edge-quantizer", ".tflite", _FLOAT, litert_ptq, calibrates=True
        ),
        "coreml-float16": Target(
            "Core ML, float16", ".zip", _FLOAT, coreml_float16, beside=".safetensors"
        ),
        "coreml-linear8": Target(
            "Core ML, weights of 8 bits", ".zip", _FLOAT, coreml_linear8, beside=".safetensors"
        ),
        "coreml-palette8": Target(
            "Core ML, 256 weights a tensor", ".zip", _FLOAT, coreml_palette8, beside=".safetensors"
        ),
        "torchao": Target("PyTorch, int8 by torchao", ".pt2", _FLOAT, torchao, calibrates=True),
        "safetensors": Target("the numbers alone", ".safetensors", _EITHER, safetensors),
    },
    kind=Target,
    group="compd.targets",
)
