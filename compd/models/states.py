"""States of a module that compd cannot start from: each is told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.parameter import is_lazy

from compd.errors import ModelError
from compd.wording import setting

__all__ = ["check_state", "quantised_part", "tensors_of"]

_PREPARED = ("torch.ao.quantization.", "torch.ao.nn.qat", "torch.ao.nn.intrinsic.qat")
_QUANTISED = (
    "torch.ao.nn.quantized",
    "torch.ao.nn.intrinsic.quantized",
    "torch.ao.nn.sparse.quantized",
    "torchao.",
    "bitsandbytes.",
)
# Of these packages, and float all the same: what networks are written with that will be quantised.
_FLOAT = {"FloatFunctional", "FXFloatFunctional", "QuantStub", "DeQuantStub", "QuantWrapper"}
_FAMILIES = {"quantized", "quantized_decomposed", "torchao", "onednn"}  # of operators
_CALLS = {"quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic"}


def check_state(model: nn.Module, name: str) -> None:
    """Raise unless a module is one of float layers with weights.

    Raises:
        ModelError: if it is quantised, prepared for that, compiled by TorchScript, or has no
            weights yet.
    """
    what = quantised_part(model)
    if what:
        raise ModelError(
            f"expected a float model to compress, got model={name!r}, which is quantised already "
            f"({what}); give the float model as {setting('model')}, and the quantised one through "
            f"Pair.from_modules, or as a file with {setting('deployed')}"
        )
    for place, module in model.named_modules():
        where = f"whose {place!r} is" if place else "which is"
        if isinstance(module, torch.jit.ScriptModule):
            raise ModelError(
                f"expected a module of Python code to compress, got model={name!r}, {where} "
                f"TorchScript ({type(module).__name__}); give the module that it was scripted or "
                f"traced from, and this one as a file with {setting('deployed')}"
            )
        if _is_prepared(module):
            raise ModelError(
                f"expected a float model to compress, got model={name!r}, {where} prepared for "
                f"quantisation ({type(module).__name__}); give it as it was before that"
            )
    for place, tensor in tensors_of(model):
        if is_lazy(tensor):
            raise ModelError(
                f"expected a model with weights, got model={name!r}, whose {place!r} is lazy and "
                "was never called; call the model on an image in the factory, then load its weights"
            )
        if tensor.is_meta:
            raise ModelError(
                f"expected a model with weights, got model={name!r} with {place!r} on the meta "
                "device, which holds none; in the factory: model.to_empty(device='cpu'), then "
                "load_state_dict"
            )
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
            raise ModelError(
                f"expected plain tensors in model={name!r}, got {place!r} of "
                f"{type(tensor).__module__}.{type(tensor).__name__}; give it before it was wrapped"
            )


def quantised_part(model: nn.Module) -> str:
    """The first part of a module that computes with integers, for messages; empty if none does."""
    for place, module in model.named_modules():
        where = f"{place!r} is {type(module).__name__}" if place else type(module).__name__
        kind = f"{type(module).__module__}."
        if kind.startswith(_QUANTISED) and type(module).__name__ not in _FLOAT:
            return f"{where} of {kind.split('.modules')[0].rstrip('.')}"
        if isinstance(module, torch.jit.ScriptModule) and "quantized::" in _script_of(module):
            return f"{where} with operators of quantized::"
    for place, tensor in tensors_of(model):
        kind = type(tensor).__module__
        if kind.startswith("torchao") or (tensor.is_quantized if not is_lazy(tensor) else False):
            return f"{place!r} is {type(tensor).__name__}"
        integers = tensor.dtype in (torch.int8, torch.uint8)
        if integers and "weight" in place and not is_lazy(tensor) and tensor.ndim > 1:
            return f"{place!r} is {str(tensor.dtype).removeprefix('torch.')}"
    for module in model.modules():
        for node in module.graph.nodes if isinstance(module, fx.GraphModule) else ():
            if node.op == "call_function" and _is_quantised(node.target):
                return f"operator {node.name}"
    return ""


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, buffers, and tensors that are mere attributes, by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()
    for place, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        for key, value in vars(module).items():
            if isinstance(value, Tensor):
                yield f"{place}.{key}".lstrip("."), value


def _is_prepared(module: nn.Module) -> bool:
    kind, name = type(module).__module__, type(module).__name__
    return f"{kind}.".startswith(_PREPARED) and name not in _FLOAT


def _is_quantised(target: Any) -> bool:
    if isinstance(target, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        return str(target).split(".")[0] in _FAMILIES
    return getattr(target, "__name__", "") in _CALLS


def _script_of(module: torch.jit.ScriptModule) -> str:
    try:
        return str(module.inlined_graph)
    except (AttributeError, RuntimeError):  # it has no forward of its own
        return ""
