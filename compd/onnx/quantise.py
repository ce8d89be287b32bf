"""A converted float graph on an int8 grid of our own: a shadow where the file has none."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from compd.models.products import linear, matmul
from compd.models.rounding import rounded

__all__ = ["quantised"]

# What an int8 runtime computes in integers: their inputs are rounded.
_WEIGHTED: tuple[Callable[..., Any], ...] = (F.conv1d, F.conv2d, F.conv3d, linear, matmul)
_JOINS: tuple[Callable[..., Any], ...] = (torch.add, operator.add, torch.cat)
_LEVELS = 255


def quantised(graph: fx.GraphModule, x: Tensor) -> fx.GraphModule:
    """Round a graph's weights and activations to 8 bits, as runtimes' own quantisers do.

    Weights symmetric per output channel, activations affine per tensor over the range that they
    have on the images; the gradient passes through, and is 0 where a value is clipped.

    Args:
        graph: from :func:`compd.onnx.to_module`, in float; not changed.
        x: float32, the graph's input, to set ranges with.

    Returns:
        A graph of the same inputs and outputs, in eval mode.
    """
    made = copy.deepcopy(graph)
    seen = _Ranges(made)
    with torch.inference_mode():
        seen.run(x)
    on_grid: dict[fx.Node, fx.Node] = {}
    for node in list(made.graph.nodes):
        if node.op != "call_function" or node.target not in (*_WEIGHTED, *_JOINS):
            continue
        for given in _inputs(node):
            if given.op == "get_attr":
                if node.target in _WEIGHTED:
                    _round_weight_(made, str(given.target), node.target is matmul)
                continue
            if given not in seen.ranges:
                continue
            if given not in on_grid:
                low, high = seen.ranges[given]
                scale = max(high - low, 1e-9) / _LEVELS
                zero = round(min(max(-low / scale, 0), _LEVELS))
                with made.graph.inserting_after(given):
                    on_grid[given] = made.graph.call_function(
                        rounded, (given, scale, zero, 0, _LEVELS)
                    )
            node.replace_input_with(given, on_grid[given])
    made.graph.lint()
    made.recompile()
    return made.eval()


class _Ranges(fx.Interpreter):
    """Runs a graph and keeps the range of each floating-point value, 0 included."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.ranges: dict[fx.Node, tuple[float, float]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if (
            isinstance(value, Tensor)
            and value.is_floating_point()
            and value.numel()
            and n.op != "output"
        ):
            self.ranges[n] = (min(0.0, float(value.min())), max(0.0, float(value.max())))
        return value


def _inputs(node: fx.Node) -> list[fx.Node]:
    """The tensors that a node computes with; a bias is none: runtimes keep 32 bits of it."""
    if node.target in _WEIGHTED:
        return [arg for arg in node.args[:2] if isinstance(arg, fx.Node)]
    return list(node.all_input_nodes)


def _round_weight_(module: fx.GraphModule, name: str, columns: bool) -> None:
    """Round a weight in place, one scale an output channel."""
    weight = module.get_buffer(name)
    if weight.dim() < 2:
        return
    each = weight.abs().amax(
        tuple(range(weight.dim() - 1)) if columns else tuple(range(1, weight.dim())), keepdim=True
    )
    scale = each.clamp_min(1e-12) / 127
    with torch.no_grad():
        weight.copy_((weight / scale).round().clamp(-127, 127) * scale)
