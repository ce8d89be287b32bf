"""What is known of each value before the graph runs: constants, sizes, and what the batch changes.

Every graph is walked with batches of several sizes. What comes out the same for each is a constant;
what grows with the batch is written as ``times * batch + plus``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compd.onnx.node import Shape

__all__ = ["PROBES", "Value", "constant", "merged", "of_size", "spread"]

# Batch sizes to walk with: the first two give a line, the third tells whether it is one.
PROBES = (2, 3, 5)


@dataclass(frozen=True)
class Value:
    """A tensor of the graph at each batch size of ``PROBES``.

    Tensors lie on the meta device, that is they have sizes and no numbers, unless the value is
    known: computed from constants and sizes alone. A constant has one and the same tensor.
    """

    probes: tuple[Tensor, ...]
    type: int = 0

    @property
    def known(self) -> bool:
        """Whether there are numbers, not only sizes."""
        return self.probes[0].device.type != "meta"

    @property
    def constant(self) -> bool:
        """Whether there are numbers, and the same for every batch."""
        return self.known and all(probe is self.probes[0] for probe in self.probes)

    @property
    def shape(self) -> Shape:
        """Sizes; None where they depend on the batch."""
        return tuple(
            sizes[0] if len(set(sizes)) == 1 else None
            for sizes in zip(*(probe.shape for probe in self.probes), strict=True)
        )

    def uniform(self) -> float | int | None:
        """The one number that all elements of a constant are, or None."""
        tensor = self.probes[0]
        if not self.constant or tensor.numel() == 0 or tensor.dtype == torch.bool:
            return None
        first = tensor.flatten()[0]
        return first.item() if bool((tensor == first).all()) else None


def constant(tensor: Tensor, kind: int = 0) -> Value:
    """A value that is the same for every batch."""
    return Value((tensor,) * len(PROBES), kind)


def of_size(sizes: Sequence[int | None]) -> Value:
    """An input: float32, its first dimension the batch."""
    rest = [size or 0 for size in sizes[1:]]
    return Value(tuple(torch.empty([n, *rest], device="meta") for n in PROBES))


def merged(tensors: Sequence[Tensor], kind: int = 0) -> Value:
    """A known value; a constant if all tensors are equal."""
    first = tensors[0]
    same = all(t.shape == first.shape and torch.equal(t, first) for t in tensors[1:])
    return constant(first, kind) if same else Value(tuple(tensors), kind)


def spread(values: Sequence[Any], batch: Callable[[], Any]) -> Any:
    """One (nested) list out of those at each probe, where the batch stands for itself.

    Args:
        values: equally long (nested) lists of numbers, or numbers.
        batch: gives what stands for the size of the batch.

    Raises:
        ValueError: if something depends on the batch in another way than on a line.
    """
    if isinstance(values[0], list):
        return [spread(parts, batch) for parts in zip(*values, strict=True)]
    if all(value == values[0] for value in values):
        return values[0]
    times = (values[1] - values[0]) // (PROBES[1] - PROBES[0])
    plus = values[0] - times * PROBES[0]
    if any(value != times * n + plus for value, n in zip(values, PROBES, strict=True)):
        raise ValueError(f"sizes {values} for batches of {PROBES}")
    product = batch() if times == 1 else batch() * times
    return product if plus == 0 else product + plus
