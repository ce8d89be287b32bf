"""The eighth bit for activations instead of weights.

An AVX2 kernel adds two products of an activation and a weight in 16 bits. It cannot overflow with
activations of 7 bits and weights of 8 (2 x 127 x 128 = 32,512), which is PyTorch's default, nor
with activations of 8 and weights of 7 (2 x 255 x 64 = 32,640). The second is nearer to the
original: a weight is rounded once, and training makes up for it, but an activation is rounded anew
in each image.
"""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

import torch
from torch import Tensor, nn

from compd.compress.configs import COMPRESSIONS, Compression, Prune, Ptq, Qat
from compd.compress.int8 import freeze_ranges_
from compd.compress.shadows import empty_shadow
from compd.errors import unknown

__all__ = ["finer"]


@singledispatch
def finer(
    config: Compression, shadow: nn.Module, original: nn.Module, example: Tensor
) -> tuple[Compression, nn.Module] | None:
    """The same weights and ranges, on a grid with activations of 8 bits and weights of 7.

    Args:
        config: what the shadow was made with.
        shadow: with frozen ranges; not changed.
        original: the original it was made from; not changed.
        example: float pixels (N, C, H, W) of the right shape.

    Returns:
        The configuration and the shadow, on the CPU, in eval mode; None where activations have
        8 bits already, weights have fewer than 8, or nothing is quantised.
    """
    raise unknown("compress", type(config).__name__, COMPRESSIONS)


@finer.register(Qat)
@finer.register(Ptq)
def _(
    config: Qat | Ptq, shadow: nn.Module, original: nn.Module, example: Tensor
) -> tuple[Compression, nn.Module] | None:
    if (config.weight_bits, config.activation_bits) != (8, 7):
        return None
    moved = replace(config, weight_bits=7, activation_bits=8)
    made = empty_shadow(moved, original, example)
    made.load_state_dict({key: value.cpu() for key, value in shadow.state_dict().items()})
    with torch.no_grad():
        freeze_ranges_(made)
    return moved, made


@finer.register
def _(
    config: Prune, shadow: nn.Module, original: nn.Module, example: Tensor
) -> tuple[Compression, nn.Module] | None:
    return None
