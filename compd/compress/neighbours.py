"""Weights of 8 bits that no kernel overflows at, beside activations of 8 bits.

An AVX2 kernel (``vpmaddubsw``) adds the products of two neighbouring weights in 16 bits, where
2 x 255 x 127 does not fit. Weights of 7 bits always fit, but few layers need that: it takes two
large neighbours of one sign. So the scale of each output channel is chosen such that no two of its
neighbours have weights of one sign with a sum above 128.

Neighbours are those of oneDNN (channels last, padded to an even number) and those of FBGEMM (the
same without padding, from pixel to pixel of the kernel).
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
    rows = (
        weight.detach().flatten(2).movedim(1, -1) if weight.ndim > 2 else weight.detach()[:, None]
    )
    odd = rows.shape[-1] % 2  # rows (O, pixels, I)
    padded = F.pad(rows, (0, odd)).flatten(1)
    orders = [padded]
    if odd:
        straight = rows.flatten(1)
        orders.append(F.pad(straight, (0, straight.shape[1] % 2)))
    sums = []
    for order in orders:
        for signed in (order.clamp(min=0), (-order).clamp(min=0)):
            sums.append((signed[:, ::2] + signed[:, 1::2]).amax(1))
    return torch.stack(sums).amax(0)


class NeighbourObserver(PerChannelMinMaxObserver):
    """The symmetric range of each output channel in which no sum of neighbours overflows."""

    def forward(self, x_orig: Any) -> Any:
        """Set the range from weights (O, I, ...)."""
        sums = neighbour_sums(x_orig).to(self.min_val.dtype)
        # Levels are range / 127.5 wide: see calculate_qparams for a symmetric range.
        end = torch.maximum(x_orig.detach().flatten(1).abs().amax(1), sums * (127.5 / _MOST))
        for value, new in ((self.min_val, -end), (self.max_val, end)):
            value.resize_(end.shape).copy_(new)
        return x_orig
