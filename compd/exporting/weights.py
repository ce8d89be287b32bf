"""The deployed model's numbers alone, for programs that have the architecture themselves."""

from __future__ import annotations

import json
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from compd.compress.explicit import Integers, Rounding, explicit
from compd.exporting.artifact import Artifact, Plain, Source

__all__ = ["safetensors"]


def safetensors(source: Source, config: Plain) -> Artifact:
    """A state dict. Of an int8 model it holds integers.

    For a layer ``L``: ``L.weight`` int8, ``L.weight_scale`` float32 (K,) and ``L.bias`` float32,
    with BatchNorm folded in; its weights are ``weight * weight_scale``. For a rounded activation
    ``A``: ``A.scale`` float32 and ``A.zero_point`` int32, on uint8. The metadata has one key,
    ``compd``: a JSON object, whose ``graph`` is the Python code that says where each one stands.
    """
    del config
    about = dict(source.about)
    if not source.quantised:
        tensors = dict(source.module.state_dict())
    else:
        graph = explicit(source.module)
        tensors = _integers(graph)
        about["graph"] = graph.code.strip()
    content = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    return Artifact({".safetensors": save(content, {"compd": json.dumps(about)})}, source.input())


def _integers(graph: Any) -> dict[str, Tensor]:
    tensors = dict(graph.state_dict())
    for name, module in graph.named_modules(remove_duplicate=False):
        if isinstance(module, Integers):
            layer = name.removesuffix(".weight_fake_quant")
            tensors[f"{layer}.weight"] = tensors.pop(f"{name}.weight")
            tensors[f"{layer}.weight_scale"] = tensors.pop(f"{name}.scale")
            del tensors[f"{name}.zero_point"]  # zeros
        elif isinstance(module, Rounding):
            tensors[f"{name}.scale"] = torch.tensor(module.scale)
            tensors[f"{name}.zero_point"] = torch.tensor(module.zero_point, dtype=torch.int32)
    return tensors
