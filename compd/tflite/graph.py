"""A TFLite graph as a PyTorch module that computes the same and has gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from compd.errors import CompdError, InputError, brief
from compd.models.rounding import open_ends_
from compd.models.sizes import Sizes
from compd.tflite.doubling import doubled
from compd.tflite.grid import real
from compd.tflite.model import Model, Node, Operation, Shape
from compd.tflite.ops import OPERATORS

__all__ = ["to_module"]

_PROBES = (2, 3)  # batch sizes to walk with: what differs is the batch
_MOST_ELEMENTS = 2**28  # of one tensor of a batch of two
_MOST_COMPUTED = 2**26  # of all constants that are computed while converting


def to_module(
    model: Model,
    *,
    shape: Sequence[int] | None = None,
    output: str | None = None,
    doubling: bool = False,
) -> fx.GraphModule:
    """Convert a file's graph to a module that computes what the file says, with gradients.

    The module takes batches of any size. Weights are buffers. Quantised parts compute with the
    file's own scales and zero points; their gradient passes straight through the rounding, and is 0
    where a value was clipped.

    Args:
        model: from :func:`compd.tflite.read_tflite`.
        shape: of the image without its batch, where the file leaves it open.
        output: name of the output; None for the first.
        doubling: whether sums of products are rounded as kernels do that compute in integers alone
            (:func:`compd.tflite.grid.doubled`); else once, as XNNPACK's do.

    Returns:
        a module that takes the input as float32 (N, H, W, C), integers as whole numbers, and
        returns one output: of integers that stand for real numbers, these real numbers.

    Raises:
        CompdError: if an operator, or a way to use it, has no gradient here; names it.
    """
    if len(model.inputs) != 1:
        raise InputError(f"expected one input, got {len(model.inputs)}")
    conversion = _Conversion(model, doubling)
    conversion.add_input(model.inputs[0], shape)
    names = [model.values[at].name for at in model.outputs]
    if output is not None and output not in names:
        raise InputError(f"expected the name of an output ({', '.join(names)}), got {output!r}")
    wanted = model.outputs[0 if output is None else names.index(output)]
    for operation in _needed(model, wanted):
        conversion.add(operation)
    return conversion.finish(wanted)


def _needed(model: Model, output: int) -> list[Operation]:
    """The operators that an output is computed from, in their order."""
    needed, kept = {output}, []
    for operation in reversed(model.operations):
        if not needed.isdisjoint(operation.outputs):
            needed.update(at for at in operation.inputs if at is not None)
            kept.append(operation)
    return kept[::-1]


class _Tracer(fx.proxy.GraphAppendingTracer):
    """Appends to a graph; a constant that an operator meets becomes a buffer."""

    def __init__(self, graph: fx.Graph, root: nn.Module) -> None:
        super().__init__(graph)
        self._root, self._buffers = root, 0

    def create_arg(self, a: Any) -> Any:
        """Turn an argument into what a graph holds."""
        if isinstance(a, Tensor):
            name = f"constant{self._buffers}"
            self._buffers += 1
            self._root.register_buffer(name, a.contiguous().clone())
            return self.graph.get_attr(name)
        return super().create_arg(a)


class _Conversion:
    """The module so far: what is known of each tensor of the file."""

    def __init__(self, model: Model, doubling: bool) -> None:
        self._model, self._doubling = model, doubling
        self._values = list(model.values)
        self._probes: dict[int, tuple[Tensor, ...]] = {}  # of what depends on the image: sizes
        self._proxies: dict[int, fx.Proxy] = {}
        self._root, self._graph = nn.Module(), fx.Graph()
        self._tracer = _Tracer(self._graph, self._root)
        self._computed = 0

    def add_input(self, at: int, shape: Sequence[int] | None) -> None:
        """The image."""
        value = self._values[at]
        sizes = value.shape[1:] if shape is None else tuple(shape)
        if not value.shape or len(sizes) != len(value.shape) - 1:
            raise InputError(f"expected an image, got input={value.name!r} of shape {value.shape}")
        self._values[at] = value = replace(value, shape=(value.shape[0], *sizes), numbers=None)
        self._probes[at] = tuple(torch.empty([n, *sizes], device="meta") for n in _PROBES)
        self._check(self._probes[at], value.name)
        self._proxies[at] = fx.Proxy(self._graph.placeholder("x"), self._tracer)

    def add(self, operation: Operation) -> None:
        """Add an operator: computed here if it is constant, else in the new graph."""
        node = self._node(operation)
        if operation.kind == "SHAPE":  # the file's own batch; whoever reshapes takes what comes
            sizes = np.array(self._values[operation.inputs[0] or 0].shape, np.int32)
            self._keep(operation.outputs[0], sizes)
            return
        if operation.kind not in OPERATORS:
            raise node.refuse(f"operator {operation.kind}")
        try:
            self._apply(operation, node)
        except CompdError:
            raise
        except Exception as error:
            raise InputError(
                f"expected {node.kind} {node.name!r} to fit its inputs of shape "
                f"{', '.join(map(str, node.shapes))} for any batch, got {type(error).__name__}: "
                f"{brief(error)}; gradients are not available for this model"
            ) from error

    def finish(self, output: int) -> fx.GraphModule:
        """The module, with this output."""
        if output not in self._proxies:
            raise InputError("expected an output that depends on the image, got a constant")
        result = real(self._values[output], self._proxies[output])  # type: ignore[arg-type]
        self._graph.output(result.node)  # type: ignore[attr-defined]
        self._graph.eliminate_dead_code()
        open_ends_(self._graph, doubled)
        self._graph.lint()
        return fx.GraphModule(self._root, self._graph, "TFLiteModule").eval()

    def _node(self, operation: Operation) -> Node:
        return Node(
            operation.kind,
            operation.name,
            operation.options,
            tuple(None if at is None else self._values[at] for at in operation.inputs),
            tuple(self._values[at] for at in operation.outputs),
            tuple(() if at is None else self._shape(at) for at in operation.inputs),
            self._doubling,
        )

    def _apply(self, operation: Operation, node: Node) -> None:
        function = OPERATORS[operation.kind]
        given = operation.inputs
        if not any(at in self._probes for at in given if at is not None):
            made = _parts(function(node, *(self._constant(at) for at in given)))
            for at, tensor in zip(operation.outputs, made, strict=False):
                self._computed += tensor.numel()
                if self._computed > _MOST_COMPUTED:
                    raise node.refuse("constants of a quarter of a gigabyte or more")
                self._keep(at, tensor.numpy())
            return
        sizes = []
        for i in range(len(_PROBES)):
            with Sizes():
                arguments = [
                    self._probes[at][i] if at in self._probes else self._constant(at, meta=True)
                    for at in given
                ]
                sizes.append(_parts(function(node, *arguments)))
        made = _parts(
            function(
                node,
                *(self._proxies[at] if at in self._probes else self._constant(at) for at in given),
            )
        )
        for j, at in enumerate(operation.outputs):
            if j >= len(made):
                raise node.refuse(f"{len(operation.outputs)} results")
            self._probes[at] = tuple(one[j] for one in sizes)
            self._proxies[at] = made[j]
            self._check(self._probes[at], self._values[at].name)
            self._check_claim(node, at)

    def _check(self, probes: tuple[Tensor, ...], name: str) -> None:
        if any(probe.numel() > _MOST_ELEMENTS for probe in probes):
            raise InputError(f"expected images, got {name!r} of a gigabyte or more")

    def _check_claim(self, node: Node, at: int) -> None:
        """Whether a result has the shape that the file says, but for the batch."""
        shape, claimed = self._shape(at), self._values[at].shape
        if shape.count(None) != 1 or not claimed:
            if not claimed and None in shape:
                return  # a file without shapes
            raise node.refuse(f"a result of shape {shape} whose images lie along no one axis")
        known = [size for size in shape if size is not None]
        axis = shape.index(None)
        if len(claimed) != len(shape) or known != [*claimed[:axis], *claimed[axis + 1 :]]:
            raise InputError(
                f"expected {node.kind} {node.name!r} to make shape {claimed}, as the file says, "
                f"got {shape}"
            )

    def _shape(self, at: int) -> Shape:
        if at not in self._probes:
            return self._values[at].shape
        first, second = (tuple(probe.shape) for probe in self._probes[at])
        return tuple(a if a == b else None for a, b in zip(first, second, strict=True))

    def _constant(self, at: int | None, *, meta: bool = False) -> Tensor | None:
        if at is None:
            return None
        value = self._values[at]
        if value.numbers is None:
            raise InputError(
                f"expected {value.name!r} to be a constant, got one that nothing has computed"
            )
        made = torch.from_numpy(np.array(value.numbers, np.float32))
        return made.to("meta") if meta else made

    def _keep(self, at: int, numbers: Any) -> None:
        """A result that is a constant."""
        value = self._values[at]
        self._values[at] = replace(value, numbers=numbers, shape=tuple(numbers.shape))


def _parts(made: Any) -> tuple[Any, ...]:
    return made if isinstance(made, tuple) else (made,)
