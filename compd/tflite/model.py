"""A TFLite file as plain values: tensors, and operators in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import CompdError, InputError

__all__ = ["RANGES", "Model", "Node", "Operation", "Shape", "Value"]

# The integers that a quantised tensor can hold: least and greatest.
RANGES: Mapping[str, tuple[int, int]] = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
}

# Sizes of a tensor; None where a size depends on the batch.
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Value:
    """A tensor of the file. Quantised ones hold ``(real / scale).round() + zero``."""

    name: str
    shape: tuple[int, ...]  # with the batch of the file
    type: str  # "float32", "int8", …
    scales: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))  # none, one, or many
    zeros: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    axis: int = 0  # along which there are many
    numbers: NDArray[Any] | None = None  # of a constant

    @property
    def quantised(self) -> bool:
        """Whether its integers stand for real numbers."""
        return len(self.scales) > 0 and self.type in RANGES

    @property
    def scale(self) -> float:
        """The one scale of a tensor that is quantised as a whole."""
        return float(self.scales[0])

    @property
    def zero(self) -> int:
        """The zero point that goes with it."""
        return int(self.zeros[0])

    @property
    def range(self) -> tuple[int, int]:
        """The least and the greatest integer of its type."""
        return RANGES[self.type]


@dataclass(frozen=True)
class Operation:
    """An operator of the file; an input that is left out is None."""

    kind: str  # as the format names it: "CONV_2D"
    name: str  # for messages
    options: Mapping[str, Any]
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """The main graph of a file."""

    values: tuple[Value, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    behind: bool = False  # whether weights lie behind the flatbuffer


@dataclass(frozen=True)
class Node:
    """What an operator's function is told of its operator, beside the tensors it computes with."""

    kind: str
    name: str
    options: Mapping[str, Any]
    inputs: tuple[Value | None, ...]
    outputs: tuple[Value, ...]
    shapes: tuple[Shape, ...]  # of the inputs
    doubling: bool = False  # whether kernels round twice, as those of gemmlowp do

    @property
    def out(self) -> Value:
        """The first result."""
        return self.outputs[0]

    def value(self, at: int) -> Value:
        """An input that has to be there."""
        found = self.inputs[at] if at < len(self.inputs) else None
        if found is None:
            raise self.refuse(f"{len(self.inputs)} inputs")
        return found

    def get(self, key: str, default: Any = None) -> Any:
        """An option of the operator, or its default."""
        return self.options.get(key, default)

    def numbers(self, at: int) -> list[Any]:
        """The numbers of an input that has to be a constant, flat."""
        found = self.value(at).numbers
        if found is None:
            raise self.refuse(f"input {at} that is computed from the image")
        return list(found.reshape(-1).tolist())

    def batch_axis(self, at: int = 0) -> int | None:
        """Along which axis of an input the images of a batch lie; None for a constant."""
        shape = self.shapes[at]
        return shape.index(None) if None in shape else None

    def sizes(self, at: int, axes: Sequence[int]) -> tuple[int, ...]:
        """Sizes of an input, none of which may depend on the batch."""
        found = []
        for axis in axes:
            size = self.shapes[at][axis]
            if size is None:
                raise self.refuse(f"sizes {self.shapes[at]} that depend on the batch")
            found.append(size)
        return tuple(found)

    def refuse(self, what: str) -> CompdError:
        """Return the error for an operator that has no gradient here."""
        return InputError(
            f"expected operators that compd can differentiate, got {what} in {self.kind} "
            f"{self.name!r}; gradients are not available for this model: search with a strategy "
            "that needs none, or export the model in other operators"
        )
