"""Activation scales that are learnt with the weights (LSQ: Esser et al., ICLR 2020).

A range from minimum to maximum wastes levels on rare values; how much clipping pays is best left to
the loss. Zero points stay where they are, so that zero stays exact.
"""

from __future__ import annotations

import math
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from compd.compress.int8 import activation_quantisers
from compd.models.rounding import rounded

__all__ = ["learn_scales_", "settle_scales_"]

# In parts of itself a scale moves as fast as a weight of size 1 that is this large.
_PACE = 100.0


def learn_scales_(shadow: nn.Module) -> None:
    """Make the scale of each activation quantiser a parameter of the shadow."""
    for quantiser in activation_quantisers(shadow):
        quantiser.register_parameter("change", nn.Parameter(torch.zeros_like(_scale(quantiser))))
        quantiser.forward = MethodType(_forward, quantiser)


def settle_scales_(shadow: nn.Module) -> None:
    """Write the learnt scales into the quantisers' ranges, and take the parameters out again."""
    for quantiser in activation_quantisers(shadow):
        observer: Any = quantiser.activation_post_process
        with torch.no_grad():
            scale, zero_point = _learnt(quantiser), _zero_point(quantiser)
            for value, end in (
                (observer.min_val, observer.quant_min),
                (observer.max_val, observer.quant_max),
            ):
                value.copy_(((end - zero_point) * scale).reshape(value.shape))
        del quantiser.forward
        del quantiser.change


def _forward(self: Any, x: Tensor) -> Tensor:
    gradient = 1 / math.sqrt(x[0].numel() * self.quant_max)  # LSQ, section 2.2
    return rounded(x, _learnt(self), self.zero_point, self.quant_min, self.quant_max, pace=gradient)


def _learnt(quantiser: Any) -> Tensor:
    scale: Tensor = _scale(quantiser) * (_PACE * quantiser.change).exp()
    return scale


def _scale(quantiser: Any) -> Tensor:
    scale: Tensor = quantiser.scale.detach()
    return scale


def _zero_point(quantiser: Any) -> Tensor:
    zero_point: Tensor = quantiser.zero_point.float()
    return zero_point
