"""Networks that ``torch.fx`` cannot trace, by way of ``torch.export``.

Attention, and code that looks at shapes or builds objects: ``torch.export`` sees through both. What
comes is a graph of ATen operators, in which compression finds no layers; so these are put back in
their place, under the names that they had. What has no layer stays the operator that it is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from compd.models.layers import make_layers_

__all__ = ["exported", "has_operators", "is_opaque", "with_layers"]

_ATEN: Any = torch.ops.aten
# Guards are refused: they hold a graph to the example's shapes. PyTorch before 2.9 makes none.
_GUARDED = "check_guards" in signature(torch.export.ExportedProgram.module).parameters
_NO_GUARDS: dict[str, Any] = {"check_guards": False} if _GUARDED else {}
_OPAQUE = (
    nn.MultiheadAttention,
    nn.TransformerEncoderLayer,
    nn.TransformerEncoder,
    nn.TransformerDecoderLayer,
    nn.TransformerDecoder,
    nn.Transformer,
)
# A call in other words: (function, or the name of a method; arguments; named arguments).
_Call: TypeAlias = tuple[Any, tuple[Any, ...], dict[str, Any]]


def exported(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """A graph of a network, with its layers, for any number of images.

    Args:
        model: float pixels (N, C, H, W) to logits (N, K), in eval mode; not changed.
        example: two images or more.

    Raises:
        Exception: of any kind, if ``torch.export`` cannot.
    """
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator that nothing sees through
    try:
        program = torch.export.export(model, (example,), dynamic_shapes=shapes, strict=False)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return with_layers(program.module(**_NO_GUARDS))


def is_opaque(graph: fx.GraphModule) -> bool:
    """Whether a traced graph has layers of attention as a whole, whose own layers it hides."""
    calls = [str(node.target) for node in graph.graph.nodes if node.op == "call_module"]
    return any(isinstance(graph.get_submodule(name), _OPAQUE) for name in calls)


def has_operators(graph: fx.GraphModule) -> bool:
    """Whether layers of a graph are ATen operators, as ``torch.export`` leaves them."""
    return any(node.target in _WORDS for node in graph.graph.nodes if node.op == "call_function")


def with_layers(graph: fx.GraphModule) -> fx.GraphModule:
    """A graph with layers and functions of PyTorch in the place of ATen operators.

    Args:
        graph: of one image input; not changed.
    """
    # Sums of a transformer stay in floats, as torchao's quantiser for x86 leaves them: all layers
    # add to one stream, whose few large values leave no levels for the rest.
    stream = any(node.target is _ATEN.layer_norm.default for node in graph.graph.nodes)
    words = {key: say for key, say in _WORDS.items() if not (stream and key in _SUMS)}
    made = fx.Graph()
    now: dict[fx.Node, Any] = {}

    def of(value: Any) -> Any:
        return fx.map_arg(value, lambda node: now[node])

    for node in graph.graph.nodes:
        if node.op == "output":
            made.output(of(pytree.tree_leaves(node.args)[0]))
            continue
        if node.op != "call_function":
            now[node] = made.node_copy(node, lambda one: now[one])
            continue
        args, kwargs = of(node.args), of(node.kwargs)
        said = words[node.target](args, kwargs) if node.target in words else None
        if said is None:
            now[node] = made.call_function(node.target, args, kwargs)
        elif said[0] is None:
            now[node] = said[1][0]
        elif isinstance(said[0], str):
            now[node] = made.call_method(*said)
        else:
            now[node] = made.call_function(*said)
        if said is not None and _in_place(node.target):
            changed = now[node.args[0]]
            for earlier, value in now.items():
                now[earlier] = now[node] if value is changed else value
    return make_layers_(fx.GraphModule(graph, made)).eval()


def _in_place(target: Any) -> bool:
    return str(target).split(".")[1].endswith("_")


def _same(function: Any) -> Callable[[Any, Any], _Call]:
    return lambda args, kwargs: (function, args, kwargs)


def _unless_scaled(function: Any) -> Callable[[Any, Any], _Call | None]:
    """Of sums: one with a factor stays what it is."""
    return lambda args, kwargs: None if kwargs else (function, args, {})


def _batch_norm(args: Any, kwargs: Any) -> _Call:
    x, weight, bias, mean, var, training, momentum, eps = args[:8]
    return F.batch_norm, (x, mean, var, weight, bias, training, momentum, eps), {}


def _hardtanh(args: Any, kwargs: Any) -> _Call:
    return (F.relu6, args[:1], {}) if args[1:] == (0.0, 6.0) else (F.hardtanh, args, kwargs)


def _dropout(args: Any, kwargs: Any) -> _Call | None:
    return None if args[2] else (None, args[:1], {})


_SUMS = {_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor}
_WORDS: Mapping[Any, Callable[[Any, Any], _Call | None]] = {
    _ATEN.conv1d.default: _same(F.conv1d),
    _ATEN.conv2d.default: _same(F.conv2d),
    _ATEN.conv2d.padding: _same(F.conv2d),
    _ATEN.conv3d.default: _same(F.conv3d),
    _ATEN.conv_transpose2d.input: _same(F.conv_transpose2d),
    _ATEN.linear.default: _same(F.linear),
    _ATEN.batch_norm.default: _batch_norm,
    _ATEN.prelu.default: _same(F.prelu),
    _ATEN.relu.default: _same(F.relu),
    _ATEN.relu_.default: _same(F.relu),
    _ATEN.relu6.default: _same(F.relu6),
    _ATEN.relu6_.default: _same(F.relu6),
    _ATEN.hardtanh.default: _hardtanh,
    _ATEN.hardtanh_.default: _hardtanh,
    _ATEN.leaky_relu.default: _same(F.leaky_relu),
    _ATEN.leaky_relu_.default: _same(F.leaky_relu),
    _ATEN.hardswish.default: _same(F.hardswish),
    _ATEN.hardswish_.default: _same(F.hardswish),
    _ATEN.add.Tensor: _unless_scaled(operator.add),
    _ATEN.add_.Tensor: _unless_scaled(operator.add),
    _ATEN.sub.Tensor: _unless_scaled(operator.sub),
    _ATEN.mul.Tensor: _same(operator.mul),
    _ATEN.mul_.Tensor: _same(operator.mul),
    _ATEN.div.Tensor: _same(operator.truediv),
    _ATEN.cat.default: _same(torch.cat),
    _ATEN.max_pool2d.default: _same(F.max_pool2d),
    _ATEN.avg_pool2d.default: _same(F.avg_pool2d),
    _ATEN.adaptive_avg_pool2d.default: _same(F.adaptive_avg_pool2d),
    _ATEN.mean.dim: _same(torch.mean),
    _ATEN.flatten.using_ints: _same(torch.flatten),
    _ATEN.dropout.default: _dropout,
    _ATEN.dropout_.default: _dropout,
    _ATEN.feature_dropout.default: _dropout,
    _ATEN.view.default: _same("reshape"),
    _ATEN.reshape.default: _same("reshape"),
    _ATEN.permute.default: _same("permute"),
    _ATEN.transpose.int: _same("transpose"),
    _ATEN.unsqueeze.default: _same("unsqueeze"),
    _ATEN.squeeze.dim: _same("squeeze"),
    _ATEN.sym_size.int: _same("size"),
}
