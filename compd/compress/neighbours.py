"""Weights of 8 bits that no kernel overflows at, beside activations of 8 bits.

An AVX2 kernel (``vpmaddubsw``) adds the products of two neighbouring weights in 16 bits, where
2 x 255 x 127 does not fit. Weights of 7 bits always fit, but few layers need that: it takes two
large neighbours of one sign. So the scale of each output channel is chosen such that no two of its
neighbours have weights of one sign with a sum above 128.

Neighbours are those of oneDNN (channels last, padded to an even number) and those of FBGEMM (the
same without padding, from pixel to pixel of the kernel). With one channel oneDNN pairs pixels in
orders of its own (along columns, by the stride): there any two are taken for neighbours.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.ao.quantization.observer import PerChannelMinMaxObserver

__all__ = ["NeighbourObserver", "neighbour_sums"]

_MOST = 127  # of a sum before rounding, which adds up to a half to each: 128 x 255 < 2^15


def neighbour_sums(weight: Tensor) -> Tensor:
    """The largest sum of two neighbours of one sign.

    Args:
        weight: (O, I, ...), of a convolution or a linear layer.

    Returns:
        (O,), at least the largest absolute value of each channel.
    """
    weight = weight.detach()
    rows = weight.flatten(2).movedim(1, -1) if weight.ndim > 2 else weight[:, None]
    channels = rows.shape[-1]  # rows (O, pixels, I)
    sums = []
    for signed in (rows.clamp(min=0), (-rows).clamp(min=0)):
        if channels == 1:
            largest = signed.flatten(1).topk(min(2, rows.shape[1]), 1).values
            sums.append(largest.sum(1))
            continue
        padded = F.pad(signed, (0, channels % 2)).flatten(1)
        straight = signed.flatten(1)
        straight = F.pad(straight, (0, straight.shape[1] % 2))
        sums += [(order[:, ::2] + order[:, 1::2]).amax(1) for order in (padded, straight)]
    return torch.stack(sums).amax(0)


class NeighbourObserver(PerChannelMinMaxObserver):
    """The symmetric range of each output channel in which no sum of neighbours overflows."""

    def forward(self, x_orig: Any) -> Any:
        """Set the range from weights (O, I, ...)."""
        sums = neighbour_sums(x_orig).to(self.min_val.dtype)
        # Levels are range / 127.5 wide: see calculate_qparams for a symmetric range.
        end = sums * (127.5 / _MOST)
        for value, new in ((self.min_val, -end), (self.max_val, end)):
            value.resize_(end.shape).copy_(new)
        return x_orig
