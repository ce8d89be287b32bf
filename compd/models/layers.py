"""Functions of constant weights in a graph, as the layers that they are.

Compression works on layers. A graph may instead call a function with weights, which may even be
computed from others in each call (convolutions that standardise their weights, normalised
classifiers).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

__all__ = ["make_layers_"]


def make_layers_(graph: fx.GraphModule) -> fx.GraphModule:
    """Replace functions of constant weights by layers, in place.

    Args:
        graph: traced; in eval mode.

    Returns:
        The same graph, which answers alike.
    """
    modules = dict(graph.named_modules())
    values: dict[fx.Node, Any] = {}  # of nodes that no image goes into
    for node in list(graph.graph.nodes):
        if node.op == "get_attr":
            values[node] = attribute(graph, str(node.target))
        elif node.op in ("call_function", "call_method") and _is_constant(node, values):
            args, kwargs = (
                map_aggregate(part, lambda one: values[one] if isinstance(one, fx.Node) else one)
                for part in (node.args, node.kwargs)
            )
            with torch.no_grad():
                values[node] = _called(node, args, kwargs)
        elif node.op == "call_function" and node.target in _LAYERS:
            given = _arguments(node)
            made = _LAYERS[node.target](_Given(given, values))
            if made is not None:
                name = _name_of(node, given["weight"], modules)
                modules[name] = made.eval()
                graph.add_submodule(name, made)
                with graph.graph.inserting_before(node):
                    call = graph.graph.call_module(name, (given["input"],))
                node.replace_all_uses_with(call)
                graph.graph.erase_node(node)
    _store_(graph, values)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
    return graph


def attribute(module: nn.Module, path: str) -> Any:
    """What a dotted name stands for in a module."""
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value


class _Given:
    """The arguments of a call: constants as what they are."""

    def __init__(self, arguments: Mapping[str, Any], values: Mapping[fx.Node, Any]) -> None:
        self._arguments, self._values = arguments, values

    def __getitem__(self, name: str) -> Any:
        value = self._arguments.get(name)
        return self._values.get(value) if isinstance(value, fx.Node) else value

    def constant(self, *names: str) -> bool:
        """Whether no image goes into any of them, and all that are tensors are of one kind."""
        nodes = [self._arguments.get(name) for name in names]
        return all(not isinstance(node, fx.Node) or node in self._values for node in nodes)


def _is_constant(node: fx.Node, values: Mapping[fx.Node, Any]) -> bool:
    inputs = node.all_input_nodes
    return bool(inputs) and all(one in values for one in inputs)


def _called(node: fx.Node, args: Any, kwargs: Any) -> Any:
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _arguments(node: fx.Node) -> dict[str, Any]:
    names = _NAMES[node.target]
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _name_of(node: fx.Node, weight: Any, modules: Mapping[str, nn.Module]) -> str:
    """The place of the layer whose weight it is, if there is nothing else; else a new one."""
    if isinstance(weight, fx.Node) and weight.op == "get_attr":
        place, _, last = str(weight.target).rpartition(".")
        holder = modules.get(place)
        if place and last == "weight" and holder is not None and _holds_one_layer(holder):
            return place
    return f"{node.name}_layer"


def _holds_one_layer(holder: nn.Module) -> bool:
    names = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    return type(holder) is nn.Module and set(holder.state_dict()) <= names


def _store_(graph: fx.GraphModule, values: Mapping[fx.Node, Any]) -> None:
    """Keep what constants were computed as, where something needs it."""
    for node, value in values.items():
        if node.op == "get_attr" or all(user in values for user in node.users):
            continue
        if isinstance(value, Tensor):
            name = f"{node.name}_constant"
            graph.register_buffer(name, value.detach().clone())
            with graph.graph.inserting_before(node):
                node.replace_all_uses_with(graph.graph.get_attr(name))


def _parameter(value: Tensor | None) -> nn.Parameter | None:
    return None if value is None else nn.Parameter(value.detach().clone())


def _convolution(kind: type[Any], dimensions: int) -> Callable[[_Given], nn.Module | None]:
    transposed = "Transpose" in kind.__name__

    def make(given: _Given) -> nn.Module | None:
        if not given.constant("weight", "bias"):
            return None
        weight, groups = given["weight"], given["groups"] or 1
        several = {
            key: _each(value, dimensions)
            for key in ("stride", "padding", "dilation", "output_padding")
            if (value := given[key]) is not None
        }
        first, second = weight.shape[0], weight.shape[1] * groups
        channels = (first, second) if transposed else (second, first)
        bias = given["bias"]
        layer: nn.Module = kind(
            *channels, tuple(weight.shape[2:]), groups=groups, bias=bias is not None, **several
        )
        layer.weight, layer.bias = _parameter(weight), _parameter(bias)  # type: ignore[assignment]
        return layer

    return make


def _each(value: Any, dimensions: int) -> Any:
    """A size for each dimension; ``same`` and ``valid`` stay what they are."""
    if isinstance(value, str):
        return value
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    return sizes * dimensions if len(sizes) == 1 else sizes


def _linear(given: _Given) -> nn.Module | None:
    if not given.constant("weight", "bias") or given["weight"].ndim != 2:
        return None
    weight, bias = given["weight"], given["bias"]
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight, layer.bias = _parameter(weight), _parameter(bias)  # type: ignore[assignment]
    return layer


def _batch_norm(given: _Given) -> nn.Module | None:
    parts = ("weight", "bias", "running_mean", "running_var")
    if not given.constant(*parts) or given["training"] or given["running_mean"] is None:
        return None
    mean, scale = given["running_mean"], given["weight"]
    layer = nn.BatchNorm2d(len(mean), eps=given["eps"] or 1e-5, affine=scale is not None)
    layer.running_mean, layer.running_var = (
        given[part].detach().clone() for part in ("running_mean", "running_var")
    )
    layer.weight, layer.bias = _parameter(scale), _parameter(given["bias"])  # type: ignore[assignment]
    return layer


def _prelu(given: _Given) -> nn.Module | None:
    if not given.constant("weight"):
        return None
    layer = nn.PReLU(given["weight"].numel())
    layer.weight = _parameter(given["weight"].flatten())  # type: ignore[assignment]
    return layer


_LAYERS: Mapping[Any, Callable[[_Given], nn.Module | None]] = {
    F.conv1d: _convolution(nn.Conv1d, 1),
    F.conv2d: _convolution(nn.Conv2d, 2),
    F.conv3d: _convolution(nn.Conv3d, 3),
    F.conv_transpose1d: _convolution(nn.ConvTranspose1d, 1),
    F.conv_transpose2d: _convolution(nn.ConvTranspose2d, 2),
    F.conv_transpose3d: _convolution(nn.ConvTranspose3d, 3),
    F.linear: _linear,
    F.batch_norm: _batch_norm,
    F.prelu: _prelu,
}
_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_TRANSPOSED = (*_CONVOLUTION[:5], "output_padding", "groups", "dilation")
_NAMES: Mapping[Any, tuple[str, ...]] = {
    **dict.fromkeys((F.conv1d, F.conv2d, F.conv3d), _CONVOLUTION),
    **dict.fromkeys((F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d), _TRANSPOSED),
    F.linear: ("input", "weight", "bias"),
    F.batch_norm: tuple(inspect.signature(F.batch_norm).parameters),
    F.prelu: ("input", "weight"),
}
