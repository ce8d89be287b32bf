"""TorchScript files (``torch.jit.save``), float or int8, in PyTorch's interpreter on the CPU."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import _pytree as pytree

from compd.compress.int8 import quantized_engine
from compd.errors import ModelError, brief
from compd.models.census import counted, moves
from compd.models.plain import numbers_of
from compd.runtimes.batching import Batching
from compd.runtimes.formats import InputFormat, Overrides, format_of
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.sizes import Size
from compd.system.quiet import quiet
from compd.wording import setting

__all__ = ["open_model"]

# Of outputs, by the last operator.
_KINDS = {"softmax": "probs", "sigmoid": "sigmoid"}


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open a TorchScript file; int8 layers run on the engine that PyTorch has by default."""
    _check_kind(path)
    with quiet():
        module = _load(path)
        # warns once that such tensors are deprecated; from the interpreter, past Python's filters
        torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)
    engine = torch.backends.quantized.engine
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)

    def call(x: NDArray[Any]) -> NDArray[Any]:
        optimised = torch.jit.optimized_execution(optimise)  # type: ignore[attr-defined]
        with quantized_engine(engine), torch.inference_mode(), optimised:
            image = torch.from_numpy(x).to(dtype)
            answer: Any = numbers_of(module(image))
            first: Tensor = pytree.tree_leaves(answer)[0]
            floats = first.dequantize() if first.is_quantized else first
            return floats.float().numpy()

    nodes = list(_nodes(module))
    return Opened(
        engine=f"torchscript-{engine}",
        format=_format(path, overrides, size, nodes, call),
        call=call,
        content_hash=sha256_of(path),
        facts={"torch": torch.__version__},
        census=counted(_operators(nodes)),
        batching=Batching.DEPENDS if any("_dynamic" in node.kind() for node in nodes) else None,
    )


def _check_kind(path: Path) -> None:
    """Raise unless a file is TorchScript, as its suffix leaves open."""
    if not zipfile.is_zipfile(path):
        raise ModelError(
            f"expected a TorchScript file (torch.jit.save), got {str(path)!r}, which is no archive "
            "of PyTorch, or cut short; copy it again, or save it with torch.jit.save"
        )
    with zipfile.ZipFile(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    if "constants.pkl" not in names or not any(name.startswith("code/") for name in names):
        raise ModelError(
            f"expected a TorchScript file (torch.jit.save), got {str(path)!r}, which holds tensors "
            f"or a pickled object; give a state dict as {setting('weights')} with its "
            f"{setting('model')}, or save torch.jit.script(model) or torch.jit.trace(model, images)"
        )


def _load(path: Path) -> Any:
    try:
        module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        if hasattr(module, "training"):  # a frozen one has no modes
            module.eval()
        return module
    except Exception as error:  # of many classes, from zip to schema
        raise ModelError(
            f"expected a TorchScript file that torch {torch.__version__} can load, got "
            f"{str(path)!r} ({type(error).__name__}: {brief(error)})"
        ) from error


def _format(
    path: Path, overrides: Overrides, size: Size | None, nodes: list[Any], call: Any
) -> InputFormat:
    """How it takes images: it does not say how many channels, so that it is asked."""
    layout = overrides.layout or "NCHW"
    faults = []
    for channels in (3, 1):
        shape = (None, channels, None, None) if layout == "NCHW" else (None, None, None, channels)
        form = format_of(
            shape, "float32", overrides, size=size, name=path.name, output=_kind_of_output(nodes)
        )
        try:
            return with_classes(form, call, path.name)
        except ModelError as error:
            faults.append(error)
    raise faults[0]


def _nodes(module: Any) -> Iterator[Any]:
    """The operators of all blocks, in order; layers are seen into."""
    pending = [module.inlined_graph]
    while pending:
        for node in pending.pop(0).nodes():
            yield node
            pending += node.blocks()


def _kind_of_output(nodes: list[Any]) -> str:
    computing = [name for _, name in map(_operator, nodes) if name and not moves(name)]
    return _KINDS.get(computing[-1] if computing else "", "logits")


def _operators(nodes: list[Any]) -> Iterator[tuple[str, str]]:
    """The type that each operator computes in, and its name."""
    integers: set[str] = set()  # values that are quantised
    for node in nodes:
        family, name = _operator(node)
        inputs = [value.debugName() for value in node.inputs()]
        follows = bool(inputs) and inputs[0] in integers
        whole = family == "quantized"
        if name.startswith("quantize_per") or (name != "dequantize" and (whole or follows)):
            # what is quantised in an operator and comes out as floats: those of dynamic ranges
            integers |= {value.debugName() for value in node.outputs() if "_dynamic" not in name}
        if name and family in ("aten", "quantized"):
            yield "int8" if whole or follows else "float32", name


def _operator(node: Any) -> tuple[str, str]:
    """``aten`` and ``relu`` of a call of ``aten::relu_``; no name if it only holds values."""
    family, _, name = node.kind().partition("::")
    return family, "" if family == "prim" else name.rstrip("_")
