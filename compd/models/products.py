"""Matrix products whose rows do not depend on how many there are.

MKL picks other kernels for few rows (up to 15, on AVX-512), which add in another order. Here few
rows are filled up with copies of the last one, which are cut off again: cheaper than to fill up a
batch of large images.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

__all__ = ["ROWS", "filled", "linear", "matmul"]

ROWS = 16


def filled(x: Tensor, least: int) -> Tensor:
    """With copies of the last row, so that there are at least so many; none stays none."""
    missing = least - len(x)
    return x if missing <= 0 or not len(x) else torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``: x (..., K) and weight (L, K) to (..., L)."""
    if has_torch_function((x, weight, bias)):  # a graph is being made: one node of it
        made: Tensor = handle_torch_function(linear, (x, weight, bias), x, weight, bias)
        return made
    rows = x.shape[:-1].numel()
    if weight.ndim != 2 or not 0 < rows < ROWS:
        return F.linear(x, weight, bias)
    flat = filled(x.reshape(rows, x.shape[-1]), ROWS)
    return F.linear(flat, weight, bias)[:rows].reshape(*x.shape[:-1], len(weight))


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """``torch.matmul``; products with one matrix (K, L) on the right side are filled up."""
    if has_torch_function((a, b)):
        made: Tensor = handle_torch_function(matmul, (a, b), a, b)
        return made
    rows = a.shape[:-1].numel()
    if b.ndim != 2 or a.ndim < 2 or not 0 < rows < ROWS:
        return torch.matmul(a, b)
    flat = filled(a.reshape(rows, a.shape[-1]), ROWS)
    return torch.matmul(flat, b)[:rows].reshape(*a.shape[:-1], b.shape[1])
