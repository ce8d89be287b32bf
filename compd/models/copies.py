"""Copies of modules that hold what PyTorch does not copy."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["copied"]


def copied(model: nn.Module) -> nn.Module:
    """A deep copy; results that a module keeps of its last call are cut off from that call.

    Raises:
        Exception: of any kind, from what the module holds.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in _kept(module):
            if value.grad_fn is not None or value.is_inference():
                memo[id(value)] = value.detach().clone()
        for weight in module._parameters.values():
            if weight is not None and weight.layout is not torch.strided:
                dense = weight.detach().to_dense()
                memo[id(weight)] = nn.Parameter(dense, requires_grad=weight.requires_grad)
    return copy.deepcopy(model, memo)


def _kept(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that are attributes of a module, or in a list or mapping that is one."""
    for value in vars(module).values():
        inside = value.values() if isinstance(value, dict) else value
        many = isinstance(value, list | tuple | dict)
        for one in inside if many else (value,):
            if isinstance(one, Tensor) and not isinstance(one, nn.Parameter):
                yield one
