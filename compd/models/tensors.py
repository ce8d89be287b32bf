"""A module's tensors as bytes of a safetensors file, and back."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from compd.errors import ModelError, brief
from compd.files.reading import read_whole

__all__ = ["load_tensors_", "tensors_to_bytes"]

_MOST_BYTES = 4 << 30


def tensors_to_bytes(module: nn.Module, metadata: dict[str, str] | None = None) -> bytes:
    """A module's state dict as safetensors; shared tensors are written once each name."""
    state = module.state_dict()
    return save_tensors(
        {
            key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for key, value in state.items()
        },
        metadata,
    )


def load_tensors_(module: nn.Module, path: Path) -> None:
    """Load what :func:`tensors_to_bytes` wrote into a module of the same shape, in place."""
    try:
        state = load_tensors(read_whole(path, _MOST_BYTES))
        module.load_state_dict(state)
    except Exception as error:  # of shapes that no tensor has, PyTorch raises others
        raise ModelError(
            f"expected the weights of this model, got {str(path)!r} "
            f"({brief(error, 120)}); make the pair again"
        ) from error
