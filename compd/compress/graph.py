"""What preparing a graph for int8 gets wrong or leaves out in PyTorch (2.13), mended here."""

from __future__ import annotations

import copy
import operator

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.ao.quantization.fake_quantize import FakeQuantize

__all__ = [
    "ARITHMETIC",
    "drop_unused_",
    "own_ranges_after_scalars_",
    "share_ranges_",
    "unshare_",
    "widen_output_",
]

ARITHMETIC = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    torch.add,
    torch.sub,
    torch.mul,
    torch.div,
)


def unshare_(traced: fx.GraphModule) -> fx.GraphModule:
    """Give each call of a module a module of its own, in place.

    One ``self.relu`` called in many places is usual; fused into the first convolution it would be
    missing at the other places (``fuse_fx`` of torch 2.13 then fails). A convolution called twice
    would take in a BatchNorm that stands behind one of its calls at both, and its int8 kernel has
    one scale of results.
    """
    seen = set()
    for node in traced.graph.nodes:
        if node.op != "call_module":
            continue
        module = traced.get_submodule(str(node.target))
        if id(module) in seen:
            node.target = f"{str(node.target).replace('.', '_')}_{node.name}"
            traced.add_submodule(str(node.target), copy.deepcopy(module))
        seen.add(id(module))
    traced.recompile()
    return traced


def own_ranges_after_scalars_(shadow: fx.GraphModule) -> None:
    """Give the result of arithmetic with a number a quantiser of its own, in place.

    ``prepare_qat_fx`` (torch 2.13) lets ``x + 3`` share the range of ``x`` and so clamps what the
    int8 kernel, which moves the range, does not.
    """
    modules = dict(shadow.named_modules(remove_duplicate=False))
    for node in list(shadow.graph.nodes):
        if node.target not in ARITHMETIC or len(node.all_input_nodes) != 1:
            continue
        for user in list(node.users):
            module = modules.get(str(user.target)) if user.op == "call_module" else None
            if isinstance(module, FakeQuantize):
                user.target = f"{user.target}_own"
                shadow.add_submodule(str(user.target), copy.deepcopy(module))
    shadow.recompile()


def share_ranges_(shadow: fx.GraphModule) -> None:
    """Give inputs and results of concatenations and average pools one quantiser, in place.

    Their int8 kernels compute in one scale. ``prepare_qat_fx`` (torch 2.13) loses that where
    concatenations follow each other, as in a DenseNet, and leaves it out for average pools: the
    shadow would then round where the deployed model does not.
    """
    modules = dict(shadow.named_modules(remove_duplicate=False))

    def quantiser(node: fx.Node) -> int | None:
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        return id(module) if isinstance(module, FakeQuantize) else None

    groups: list[set[int]] = []  # of quantisers: some stand at several nodes (pooling) already
    for node in shadow.graph.nodes:
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if node.target not in (torch.cat, F.avg_pool2d) and not isinstance(module, nn.AvgPool2d):
            continue
        around = (quantiser(n) for n in [*node.all_input_nodes, *node.users])
        group = {found for found in around if found is not None}
        for other in [g for g in groups if g & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    for group in groups:
        first, *rest = [node for node in shadow.graph.nodes if quantiser(node) in group]
        for node in rest:
            node.target = first.target
    shadow.recompile()


def widen_output_(shadow: fx.GraphModule, bits: int) -> None:
    """Give the logits all 8 bits: no int8 kernel reads them, so nothing can saturate."""
    modules = dict(shadow.named_modules(remove_duplicate=False))
    places = [modules.get(str(node.target)) for node in shadow.graph.nodes]
    output = next(node for node in shadow.graph.nodes if node.op == "output")
    for node in output.all_input_nodes:
        module = modules.get(str(node.target))
        if isinstance(module, FakeQuantize) and sum(place is module for place in places) == 1:
            module.activation_post_process.quant_max = 2**bits - 1
            module.quant_max = 2**bits - 1


def drop_unused_(shadow: fx.GraphModule) -> None:
    """Take out what no node names, in place: copies leave it out, and are saved without it.

    PyTorch's own function for that overlooks a module that stands at a second place.
    """
    used = {str(node.target).partition(".")[0] for node in shadow.graph.nodes}
    for name in [name for name in shadow._modules if name not in used]:
        del shadow._modules[name]
