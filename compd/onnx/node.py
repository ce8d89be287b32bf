"""What an operator's function is told of its node, and how the table names operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compd.errors import CompdError, InputError

__all__ = ["Node", "Operator", "Shape"]

# Sizes of a tensor; None where a size depends on the batch.
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Node:
    """A node of the file without its tensors: what is fixed when the graph is converted.

    ``shapes`` and ``types`` are those of the inputs (``()`` and 0 for one that is left out), and
    ``folded`` says that all inputs are constants: the result is then computed once, on integers as
    integers. Otherwise every tensor is float32 or bool.
    """

    kind: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    shapes: tuple[Shape, ...]
    types: tuple[int, ...]
    outputs: int
    folded: bool

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute of the node, or its default."""
        return self.attributes.get(key, default)

    def sizes(self, at: int = 0) -> tuple[int, ...]:
        """Sizes of an input after its first two dimensions (height and width)."""
        return self.fixed(self.shapes[at][2:])

    def fixed(self, shape: Sequence[int | None]) -> tuple[int, ...]:
        """The sizes of a shape, none of which may depend on the batch."""
        if any(size is None for size in shape):
            raise self.refuse(f"sizes {shape} that depend on the batch")
        return tuple(size for size in shape if size is not None)

    def refuse(self, what: str) -> CompdError:
        """Return the error for a node that has no gradient here."""
        return InputError(
            f"expected operators that compd can differentiate, got {what} in node {self.name!r} "
            f"({self.kind}); gradients are not available for this model: search with a strategy "
            "that needs none, or export the model in other operators"
        )


@dataclass(frozen=True)
class Operator:
    """A plain function of a node and its inputs, and the form in which it wants some of them.

    Inputs at ``lists`` have to be constants or shape arithmetic and come as (nested) lists of
    numbers; those at ``numbers`` come as one Python number where all their elements are the same
    constant, and else as a tensor. The rest are tensors, or None where left out.
    """

    function: Callable[..., Any]
    lists: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
