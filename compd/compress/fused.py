"""Making the pre-activations of fused layers visible again.

A shadow computes convolution and ReLU in one module, so the value before the ReLU has no node in
its graph. Here each such module becomes its linear half, sharing all parameters, and a ReLU node:
the same numbers, with the pre-activation in between.
"""

from __future__ import annotations

import copy

import torch.ao.nn.intrinsic as nni
import torch.ao.nn.intrinsic.qat as nniqat
import torch.ao.nn.qat as nnqat
import torch.nn.functional as F
from torch import fx, nn

__all__ = ["unfuse_relu"]

# fused kind -> its own linear half; both come from PyTorch and share layout and forward
_HALVES: dict[type[nn.Module], type[nn.Module]] = {
    nniqat.ConvReLU2d: nnqat.Conv2d,
    nniqat.LinearReLU: nnqat.Linear,
}


def unfuse_relu(shadow: fx.GraphModule) -> fx.GraphModule:
    """Return a graph module equal to the shadow in which each ReLU is a node of its own.

    Args:
        shadow: from ``compd.compress.int8``; not changed, and its parameters are shared.
    """
    modules = dict(shadow.named_modules(remove_duplicate=False))
    graph = fx.Graph()
    graph.output(graph.graph_copy(shadow.graph, {}))
    for node in list(graph.nodes):
        module = modules.get(str(node.target)) if node.op == "call_module" else None
        if module is None:
            continue
        if type(module) in _HALVES:
            half = copy.copy(module)  # a shallow copy: same parameters, same quantisers
            half.__class__ = _HALVES[type(module)]
        elif isinstance(module, nni.BNReLU2d):
            half = module[0]
        else:
            continue
        name = f"{str(node.target).replace('.', '_')}_before_relu"
        modules[name] = half
        node.target = name
        with graph.inserting_after(node):
            relu = graph.call_function(F.relu, (node,))
        node.replace_all_uses_with(relu, delete_user_cb=lambda user, relu=relu: user is not relu)
    root = {key: value for key, value in modules.items() if key}
    attributes = {
        str(node.target): _attribute(shadow, str(node.target))
        for node in graph.nodes
        if node.op == "get_attr"
    }
    return fx.GraphModule({**root, **attributes}, graph)


def _attribute(module: nn.Module, path: str) -> object:
    value: object = module
    for part in path.split("."):
        value = getattr(value, part)
    return value
