"""The sizes of usual results on the meta device, told without PyTorch's own rules.

Those are Python that imports PyTorch's compiler first: a second and more of a command that has two
files to convert. What is not told here goes to PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from compd.models.products import linear
from compd.models.rounding import to_grid

__all__ = ["Sizes"]

# Value by value, the result in the type of the operands (which are floats): many are called by
# other names than the function, as methods and as operators.
_ELEMENTWISE = frozenset(
    getattr(home, name)
    for home in (torch, Tensor)
    for name in (
        "add",
        "sub",
        "mul",
        "div",
        "true_divide",
        "clamp",
        "round",
        "relu",
        "neg",
        "abs",
        "exp",
        "sqrt",
        "sigmoid",
        "tanh",
        "trunc",
        "floor",
        "ceil",
        "__add__",
        "__radd__",
        "__sub__",
        "__rsub__",
        "__mul__",
        "__rmul__",
        "__truediv__",
        "__rtruediv__",
        "__neg__",
        "__abs__",
    )
    if hasattr(home, name)
) | {F.relu, F.relu6, F.hardtanh, F.silu, to_grid}


class Sizes(TorchFunctionMode):
    """While it is on, results on the meta device get their sizes from here."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        operands = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
        if func in _ELEMENTWISE and _plain(operands):
            return _broadcast(*operands)
        if func in (torch.flip, Tensor.flip) and _has(args[0], args[1:]):
            return torch.empty(args[0].shape, dtype=args[0].dtype, device="meta")
        if func is linear and _plain(operands):
            return _broadcast(torch.matmul(args[0], args[1].t()), *operands[2:])
        if func is torch.mean and len(args) == 2 and _plain(args[:1]) and _has(args[0], args[1]):
            return _averaged(*args, **kwargs)
        if func is torch.cat and not kwargs and len(args) == 2:
            made = _joined(*args)
            if made is not None:
                return made
        return func(*args, **kwargs)


def _has(x: Tensor, axes: Sequence[Any]) -> bool:
    """Whether a tensor without numbers has these axes, each named once."""
    if x.device.type != "meta" or not all(
        isinstance(a, int) and -x.ndim <= a < x.ndim for a in axes
    ):
        return False
    return len({axis % x.ndim for axis in axes}) == len(axes)


def _broadcast(*operands: Tensor) -> Tensor:
    """The size of an elementwise result without numbers."""
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in operands))
    return torch.empty(shape, dtype=torch.float32, device="meta")


def _averaged(x: Tensor, axes: tuple[int, ...], keepdim: bool = False) -> Tensor:
    """The size of an average without numbers."""
    made = x
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        made = made.narrow(axis, 0, 1) if keepdim else made.select(axis, 0)
    return torch.empty(made.shape, dtype=x.dtype, device="meta")


def _joined(parts: Sequence[Tensor], axis: int) -> Tensor | None:
    """The size of joined tensors without numbers; None where PyTorch has to say what is wrong."""
    sizes = [list(x.shape) for x in parts]
    rank, dtype = len(sizes[0]), parts[0].dtype
    if not all(x.device.type == "meta" and x.dtype == dtype for x in parts):
        return None
    if not -rank <= axis < rank:
        return None
    lengths = [one.pop(axis) for one in sizes if len(one) == rank]
    if len(lengths) < len(sizes) or any(one != sizes[0] for one in sizes):
        return None
    sizes[0].insert(axis % rank, sum(lengths))
    return torch.empty(sizes[0], dtype=dtype, device="meta")


def _plain(tensors: Sequence[Tensor]) -> bool:
    """Whether these have no numbers, and what is computed of them is float32."""
    types = {x.dtype for x in tensors}
    wide = {torch.promote_types(dtype, torch.float32) for dtype in types}
    return (
        all(x.device.type == "meta" for x in tensors)
        and torch.float32 in types
        and wide == {torch.float32}
    )
