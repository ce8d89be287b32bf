"""What of a converted graph computes in integers, and what in floats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn

__all__ = ["PASSIVE", "census"]

# What moves numbers and computes none.
PASSIVE = frozenset(
    {
        "Dropout",
        "Flatten",
        "Identity",
        "alias",
        "arange",
        "bordered",
        "cat",
        "chunk",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "dequantize",
        "detach",
        "dropout",
        "expand",
        "flatten",
        "full",
        "getattr",
        "getitem",
        "ones",
        "pad",
        "permute",
        "quantize_per_channel",
        "quantize_per_tensor",
        "quantize_per_tensor_dynamic",
        "repeat",
        "reshape",
        "select",
        "size",
        "slice",
        "split",
        "squeeze",
        "stack",
        "sym_size",
        "t",
        "to",
        "transpose",
        "unflatten",
        "unsqueeze",
        "view",
        "zeros",
    }
)


def census(graph: fx.GraphModule) -> Mapping[str, Mapping[str, int]]:
    """Operators by the type that they compute in; layout and conversions do not count.

    Args:
        graph: converted to int8 kernels.

    Returns:
        ``int8`` and ``float32``, each with how often which operator is there.
    """
    counts: dict[str, Counter[str]] = {"int8": Counter(), "float32": Counter()}
    integers: set[fx.Node] = set()  # nodes whose results are quantised
    sizes: set[fx.Node] = set()  # nodes whose results are numbers of rows, columns, ...
    for node in graph.graph.nodes:
        kind, name = _kind_of(graph, node)
        inputs = node.all_input_nodes
        follows = bool(inputs) and inputs[0] in integers
        if name != "dequantize" and (kind == "int8" or follows or name.startswith("quantize_per")):
            integers.add(node)
        if name in ("size", "getattr") or (inputs and all(one in sizes for one in inputs)):
            sizes.add(node)
        elif name and name not in PASSIVE:
            counts["int8" if kind == "int8" or follows else "float32"][name] += 1
    return {kind: dict(found) for kind, found in counts.items() if found}


def _kind_of(graph: fx.GraphModule, node: fx.Node) -> tuple[str, str]:
    if node.op == "call_module":
        module: nn.Module = graph.get_submodule(str(node.target))
        inside = ".quantized" in type(module).__module__
        return "int8" if inside else "", type(module).__name__
    if node.op == "call_method":
        return "", str(node.target)
    if node.op != "call_function":
        return "", ""
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        family, name = str(target).split(".")[:2]
        return "int8" if family == "quantized" else "", name.rstrip("_")
    return "", str(getattr(target, "__name__", target))
