"""Modules that took minutes to make, kept under the hash of all that determines them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from compd.errors import CompdError
from compd.files.storage import disk_errors, write_atomic
from compd.models.tensors import load_tensors_, tensors_to_bytes

__all__ = ["cached_module", "torch_version"]


def cached_module(
    path: Path,
    empty: Callable[[], nn.Module],
    make: Callable[[], tuple[nn.Module, Mapping[str, str]]],
) -> tuple[nn.Module, Mapping[str, str]]:
    """Load a module and the rows it used from a file; if it is missing or broken, make both.

    Args:
        path: the file, named by what determines the module.
        empty: returns a module of the right shape to load into.
        make: does the work; returns the module and split name -> rows used.
    """
    if path.is_file():
        try:
            module = empty()
            load_tensors_(module, path)
            with safe_open(path, "pt") as file:
                return module, dict(json.loads((file.metadata() or {})["rows"]))
        except (CompdError, KeyError, ValueError):
            path.unlink()  # the cache holds only what can be made again
    module, rows = make()
    with disk_errors(path):
        data = tensors_to_bytes(module, {"rows": json.dumps(dict(rows))})
        write_atomic(path, data, sync=False)
    return module, rows


def torch_version() -> str:
    """Major and minor version: other ones may train or quantise to other numbers."""
    return ".".join(str(torch.__version__).split(".")[:2])
