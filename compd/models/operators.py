"""What the layers of a torch module compute in."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, fx, nn

__all__ = ["operators_of"]

_PACKED = ".quantized."  # in the names of modules whose layers have int8 kernels


def operators_of(module: nn.Module) -> Iterator[tuple[str, str]]:
    """The type that each operator computes in, and its name: ``("int8", "ConvReLU2d")``.

    Args:
        module: a graph of torch.fx, which tells all its operators; of others only the layers with
            weights are told.
    """
    graphs = [part for part in module.modules() if isinstance(part, fx.GraphModule)]
    if graphs:
        yield from _of_graph(graphs[0])
        return
    for layer in module.modules():
        if type(layer).__name__.endswith("PackedParams"):  # of the layer that has them
            continue
        if _has_kernels(layer):
            yield "int8", type(layer).__name__
        elif weights := list(layer.parameters(recurse=False)):
            yield _type_of(weights[0]), type(layer).__name__


def _of_graph(graph: fx.GraphModule) -> Iterator[tuple[str, str]]:
    """Integers flow from each quantisation to the next dequantisation; sizes are no numbers."""
    whole: set[fx.Node] = set()  # nodes whose results are quantised
    sizes: set[fx.Node] = set()  # nodes whose results are numbers of rows, columns, ...
    for node in graph.graph.nodes:
        if node.op not in ("call_function", "call_method", "call_module"):
            continue
        layer = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        name = _name_of(node) if layer is None else type(layer).__name__
        inputs = node.all_input_nodes
        if name in ("size", "getattr") or (inputs and all(one in sizes for one in inputs)):
            sizes.add(node)
            continue
        if "dequantize" in name.lower():
            continue
        integers = (
            ("quantize" in name.lower() and "fake" not in name.lower())
            or str(node.target).startswith("quantized.")
            or (layer is not None and _has_kernels(layer))
            or any(given in whole for given in inputs)
        )
        if integers:
            whole.add(node)
        yield "int8" if integers else "float32", name


def _has_kernels(layer: nn.Module) -> bool:
    module = type(layer).__module__
    return module.startswith("torch.ao.nn.") and _PACKED in module and ".reference." not in module


def _type_of(weight: Tensor) -> str:
    """The element type; of another package's tensor, such as torchao's, the name of its class."""
    own = type(weight) in (Tensor, nn.Parameter)
    return str(weight.dtype).removeprefix("torch.") if own else type(weight).__name__


def _name_of(node: fx.Node) -> str:
    target = node.target
    if isinstance(target, str):
        return target
    if isinstance(target, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        return str(target).split(".")[1].rstrip("_")
    return getattr(target, "__name__", str(target))
