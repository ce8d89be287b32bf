"""ONNX files: read safely, described, and converted to modules with gradients."""

from compd.onnx.describe import Described, Description, describe
from compd.onnx.graph import to_module
from compd.onnx.read import read_onnx

__all__ = ["Described", "Description", "describe", "read_onnx", "to_module"]
