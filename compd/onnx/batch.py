"""Batches of any size through a file that was exported for one."""

from __future__ import annotations

import math

import torch
from torch import nn

from compd.errors import InputError, brief
from compd.onnx.node import Shape
from compd.onnx.probe import PROBES, Value, merged

__all__ = ["check_images_apart", "keep_batch"]


def keep_batch(x: Value | None, target: Value | None, fixed: int | None) -> Value | None:
    """Let a size of a constant new shape grow with the batch, if it is the batch's.

    A reshape keeps the order of the numbers, so the batch is the first size that has as many
    numbers before it as it had. A file without a fixed batch is taken at its word, unless its own
    words fit one image only.

    Args:
        x: what is reshaped.
        target: the new shape.
        fixed: the batch that the file insists on, or None.
    """
    if x is None or target is None or x.known or not target.constant:
        return target
    own, sizes = x.shape, target.probes[0].flatten().tolist()
    if own.count(None) != 1 or (fixed is None and -1 in sizes):
        return target
    axis = own.index(None)
    each = x.probes[0].shape[axis] // PROBES[0]
    if any(probe.shape[axis] != each * n for probe, n in zip(x.probes, PROBES, strict=True)):
        return target
    sizes = [own[i] or 0 if size == 0 and i < len(own) else size for i, size in enumerate(sizes)]
    place = _place(own[:axis], sizes)
    if place is None or sizes[place] < 1 or sizes[place] % (fixed or 1):
        return target
    share = sizes[place] // (fixed or 1)
    return merged([torch.tensor([*sizes[:place], share * n, *sizes[place + 1 :]]) for n in PROBES])


def check_images_apart(module: nn.Module, shape: Shape) -> None:
    """Check that the answer for one image depends on no other image of the batch.

    Gradients tell it exactly: a reshape that mixed the images would let them pass.

    Args:
        module: takes one tensor.
        shape: of its input; the first size is the batch.

    Raises:
        CompdError: if images mix, or two of them do not fit through it.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand([2, *(size or 1 for size in shape[1:])], generator=generator).requires_grad_()
    try:
        y = module(x)
    except Exception as error:  # sizes that fit only at the batch that the file was made for
        raise InputError(
            f"expected a model that takes two images of shape {shape[1:]}, got "
            f"{type(error).__name__}: {brief(error)}; gradients are not "
            "available for this model"
        ) from error
    y = y[0] if isinstance(y, tuple) else y
    apart = y.dim() > 0 and y.shape[0] > 0 and y.shape[0] % 2 == 0
    if apart and y.requires_grad:
        first = y[: y.shape[0] // 2]
        weights = torch.rand(first.shape, generator=generator)
        (gradient,) = torch.autograd.grad((first * weights).sum(), x)
        apart = not bool(gradient[1].any())
    if not apart:
        raise InputError(
            f"expected a model that answers each image of a batch alone, got one for batches of "
            f"{shape[0]} that mixes them in others; export it with a dynamic batch"
        )


def _place(before: Shape, sizes: list[int]) -> int | None:
    """Where in a new shape the batch is, given the sizes that came before it."""
    count = math.prod(size or 0 for size in before)
    places = [i for i in range(len(sizes)) if math.prod(sizes[:i]) == count]
    if len(before) in places:
        return len(before)
    return places[0] if places else None
