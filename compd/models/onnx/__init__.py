"""ONNX files: read safely, described, and converted to modules with gradients."""

from compd.models.onnx.census import Census
from compd.models.onnx.describe import Described, Description, describe
from compd.models.onnx.graph import to_module
from compd.models.onnx.read import read_onnx

__all__ = ["Census", "Described", "Description", "describe", "read_onnx", "to_module"]
