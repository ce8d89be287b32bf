"""What compd parses and may get from a stranger: one module a target.

Each has ``entry(data)``, which feeds bytes to the parser and raises only if the contract is broken,
and ``seeds()``, small inputs to start from. ``WORDS`` (dictionary) and ``mutate`` (mutations that
keep checksums, lengths and the like right) are there where they help. None of them needs Atheris.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

__all__ = ["TARGETS", "load", "why_not"]

# A new target is a module beside this one, and a line here.
TARGETS = (
    "corpus_line",
    "corpus_folder",
    "png",
    "image",
    "safetensors_file",
    "torch_file",
    "pair_folder",
    "config",
    "recorded_table",
    "bridge",
    "onnx_file",
    "tflite_file",
    "baseline",
    "gate_policy",
    "report_result",
    "study_report",
    "published_array",
)


def load(name: str) -> ModuleType:
    """The module of a target."""
    return import_module(f"targets.{name}")


def why_not(name: str) -> str:
    """Why a target cannot run here; empty if it can."""
    return str(getattr(load(name), "MISSING", ""))
