"""Which neurons the original activates and the shadow does not (COMPD, section 3.2).

Neurons are the inputs of the activation functions (pre-activations), found in the FX graph of any
model. The two graphs list their activations in the same order, because the shadow's graph comes
from the original's.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from compd.compress import kind_of, units_correspond
from compd.compress.fused import unfuse_relu
from compd.errors import ModelError
from compd.models import trace
from compd.pair import Pair

__all__ = ["draw_neurons", "instrument", "instrument_models", "instrument_pair"]

_MODULES = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Softplus,
)
_FUNCTIONS = (
    torch.relu,
    torch.relu_,
    F.relu,
    F.relu_,
    F.relu6,
    F.leaky_relu,
    F.prelu,
    F.elu,
    F.celu,
    F.selu,
    F.gelu,
    F.silu,
    F.mish,
    F.hardswish,
    F.softplus,
)
_METHODS = ("relu", "relu_")

Instrumented = Callable[[Tensor], tuple[Tensor, tuple[Tensor, ...]]]


def instrument(model: nn.Module, name: str = "model") -> fx.GraphModule:
    """Return a module that gives logits and all pre-activations.

    Args:
        model: traceable, or traced already; not changed, parameters are shared.
        name: for error messages.

    Returns:
        ``x -> (logits (N, K), (pre-activation (N, ...), ...))``

    Raises:
        CompdError: if the model cannot be traced or has no activation function.
    """
    traced = unfuse_relu(model) if isinstance(model, fx.GraphModule) else trace(model, name)
    modules = dict(traced.named_modules(remove_duplicate=False))
    before: list[fx.Node] = []
    for node in traced.graph.nodes:
        if node.op == "call_module" and isinstance(modules[str(node.target)], _MODULES):
            module = modules[str(node.target)]
            if getattr(module, "inplace", False):  # would overwrite what we want to see
                module = copy.copy(module)
                module.inplace = False
                node.target = f"{str(node.target).replace('.', '_')}_kept"
                traced.add_submodule(str(node.target), module)
        elif node.op == "call_function" and node.target in _FUNCTIONS:
            if node.kwargs.get("inplace"):
                node.kwargs = {**node.kwargs, "inplace": False}
            if node.target in (torch.relu_, F.relu_):
                node.target = torch.relu
        elif node.op == "call_method" and node.target in _METHODS:
            node.target = "relu"
        else:
            continue
        source = node.all_input_nodes[0]
        before.append(source)
    if not before:
        raise ModelError(
            f"expected activation functions (ReLU and its kin) in the graph of {name}, got none: "
            "neurons cannot be told apart"
        )
    output = next(node for node in traced.graph.nodes if node.op == "output")
    output.args = ((output.args[0], tuple(before)),)
    traced.recompile()
    return traced


def instrument_pair(pair: Pair) -> tuple[Instrumented, Instrumented]:
    """Instrument original and shadow of a pair.

    Raises:
        CompdError: if neurons of the one are not neurons of the other.
    """
    if not units_correspond(pair.spec.compress):
        raise ModelError(
            "expected a shadow whose neurons are those of the original, got another network "
            f"({kind_of(pair.spec.compress)}): coverage cannot be told"
        )
    return instrument_models(pair.original, pair.shadow)


def instrument_models(original: nn.Module, shadow: nn.Module) -> tuple[Instrumented, Instrumented]:
    """Instrument both models and see to it that their neurons map one to one.

    Raises:
        CompdError: if the two do not have the same activations.
    """
    both = instrument(original, "the original"), instrument(shadow, "the shadow")
    counts = [len(_outputs(module)) for module in both]
    if counts[0] != counts[1]:
        raise ModelError(
            f"expected the same activation functions in both models, got {counts[0]} in the "
            f"original and {counts[1]} in the shadow: their neurons do not map one to one"
        )
    return both


def draw_neurons(
    original: Sequence[Tensor],
    shadow: Sequence[Tensor],
    draws: Sequence[np.random.Generator],
) -> Tensor:
    """Draw, for each sample, one neuron that the original activates and the shadow does not.

    Algorithm 2 of the paper, for a whole batch at once. Published: draw a layer, then a position in
    it, until a neuron qualifies. The same distribution without the endless loop: a layer with
    probability proportional to the share of its neurons that qualify, then one of these.

    Args:
        original: pre-activations of the original, each (N, ...).
        shadow: those of the shadow, in the same order and shapes.
        draws: one random generator per sample.

    Returns:
        (N,) the shadow's pre-activation at the drawn neuron, differentiable; 0 without gradient
        where a sample has none.
    """
    masks = [
        ((o.detach() > 0) & (s.detach() <= 0)).flatten(1)
        for o, s in zip(original, shadow, strict=True)
    ]  # each (N, neurons of the layer)
    counts = torch.stack([mask.sum(1) for mask in masks], 1).cpu()  # (N, layers)
    shares = counts.double().numpy() / np.array([mask.shape[1] for mask in masks])
    layer_of, rank_of = [-1] * len(counts), [-1] * len(counts)
    for i, generator in enumerate(draws):
        if shares[i].any():
            bounds = np.cumsum(shares[i])
            layer_of[i] = int(np.searchsorted(bounds, generator.random() * bounds[-1], "right"))
            rank_of[i] = int(generator.integers(int(counts[i, layer_of[i]])))
    device = shadow[0].device
    layers, ranks = torch.tensor(layer_of, device=device), torch.tensor(rank_of, device=device)
    value = shadow[0].flatten(1)[:, 0] * 0  # (N,), keeps the graph connected
    for layer, mask in enumerate(masks):
        rows = (layers == layer).nonzero()[:, 0]
        if len(rows):
            position = mask[rows].to(torch.int32).cumsum(1)  # 1, 2, … at the mask's ones
            column = (position == ranks[rows, None] + 1).to(torch.uint8).argmax(1)
            value = value.index_add(0, rows, shadow[layer].flatten(1)[rows, column])
    return value


def _outputs(module: fx.GraphModule) -> Sequence[fx.Node]:
    output = next(node for node in module.graph.nodes if node.op == "output")
    found: Sequence[fx.Node] = operator.itemgetter(1)(output.args[0])
    return found
