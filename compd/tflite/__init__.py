"""TFLite (LiteRT) files as PyTorch modules: what they compute, with gradients."""

from compd.tflite.graph import to_module
from compd.tflite.read import read_tflite

__all__ = ["read_tflite", "to_module"]
