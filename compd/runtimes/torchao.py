"""torch.export files (.pt2) that torchao quantised, with oneDNN's int8 kernels on the CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from compd.errors import CompdError, ModelError, brief, require_extra
from compd.models.census import counted, moves
from compd.runtimes.formats import Overrides, format_of
from compd.runtimes.metadata import class_names_of, overrides_of
from compd.runtimes.openers import Opened, sha256_of, with_classes
from compd.sizes import Size
from compd.system.quiet import quiet

__all__ = ["open_model"]

_METADATA = "compd.json"
_BATCH = 32  # images a call where the file leaves it open: the kernels are made for one number
# Of outputs, by the last operator.
_KINDS = {"softmax": "probs", "_softmax": "probs", "sigmoid": "sigmoid"}


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open a .pt2 file; without optimisation, quantised operators are computed in float32."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise ModelError(f"expected a file of torch.export, got {str(path)!r}")
    with quiet():
        version = require_extra("torchao", "torchao").__version__
        program, metadata = _load(path)
        image = _image_of(program, path)
        said = overrides_of(metadata, path.name)
        overrides = overrides.over(said)
        shape = tuple(n if isinstance(n, int) else None for n in image.shape)
        form = format_of(
            (shape[0] or _BATCH, *shape[1:]),
            _name_of(image.dtype),
            overrides,
            size=size,
            name=path.name,
            output=_kind_of_output(program),
        )
        example = torch.zeros(form.shape, dtype=image.dtype)
        graph = _lowered(program, example, path) if optimise else program.module()

    def call(x: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            answer: Tensor = pytree.tree_leaves(graph(torch.from_numpy(x)))[0]
            return answer.numpy()

    return Opened(
        engine="torchao-onednn",
        format=with_classes(form, call, path.name),
        call=call,
        content_hash=sha256_of(path),
        facts={"torchao": version},
        census=counted(_operators_by_type(graph)),
        compressed=_compressed(program),
        class_names=class_names_of(metadata),
        said=said,
    )


def _load(path: Path) -> tuple[torch.export.ExportedProgram, dict[str, str]]:
    """The program, and what it says of itself."""
    # registers the operators that such a file is made of
    require_extra("torchao.quantization.pt2e", "torchao")
    extra = {_METADATA: ""}
    try:
        program = torch.export.load(path, extra_files=extra)
        said = json.loads(extra[_METADATA] or "{}")
        return program, {str(key): str(value) for key, value in said.items()}
    except Exception as error:  # of many classes, from zip to schema
        raise _cannot("load", path, error) from error


def _image_of(program: torch.export.ExportedProgram, path: Path) -> Tensor:
    """The input as a tensor without numbers."""
    inputs, outputs = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise ModelError(
            f"expected one input and one output in {str(path)!r}, got {len(inputs)} and "
            f"{len(outputs)}; compd tests image classifiers"
        )
    values = [node.meta.get("val") for node in program.graph.nodes if node.name == inputs[0]]
    if not values or not isinstance(values[0], Tensor):
        raise ModelError(f"expected a tensor as input of {str(path)!r}, got {inputs[0]!r}")
    return values[0]


def _lowered(program: torch.export.ExportedProgram, example: Tensor, path: Path) -> fx.GraphModule:
    lowering = require_extra("torchao.quantization.pt2e.lowering", "torchao")
    has_kernels: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not has_kernels:  # the graph would stay as it is, in silence
        raise ModelError(
            f"expected a PyTorch with oneDNN for the int8 kernels of {str(path)!r}, got torch "
            f"{torch.__version__} without"
        )
    try:
        lowered: fx.GraphModule = lowering.lower_pt2e_quantized_to_x86(program.module(), (example,))
    except Exception as error:
        raise _cannot("lower to int8 kernels", path, error) from error
    # Int8 convolutions answer channels last, which no view can flatten. Inductor makes this change
    # behind the passes that torchao (0.18) calls; without it a LeNet-5 does not run.
    for node in lowered.graph.nodes:
        if node.target is torch.ops.aten.view.default:
            node.target = torch.ops.aten.reshape.default
    lowered.recompile()
    return lowered


def _cannot(do: str, path: Path, error: Exception) -> CompdError:
    what = f"{type(error).__name__}: {brief(error)}"
    return ModelError(
        f"expected a file that torch {torch.__version__} can {do}, got {str(path)!r} ({what})"
    )


def _kind_of_output(program: torch.export.ExportedProgram) -> str:
    operators = [_operator(node)[1] for node in program.graph.nodes]
    computing = [name for name in operators if name and not moves(name)]
    return _KINDS.get(computing[-1] if computing else "", "logits")


def _compressed(program: torch.export.ExportedProgram) -> tuple[str, ...]:
    """Types of weights of few bits, and operators that quantise."""
    values = (*program.state_dict.values(), *program.constants.values())
    kinds = [x.dtype for value in values if isinstance(value, Tensor) for x in _parts(value)]
    names = {_operator(node)[1] for node in program.graph.nodes}
    return tuple(
        sorted(
            {
                *(name for name in names if "quantize" in name),
                *(_name_of(kind) for kind in kinds if kind.itemsize <= 2 and kind != torch.bool),
            }
        )
    )


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """The tensors that a tensor is made of: integers and scales, if it stands for others."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _parts(getattr(tensor, name))


def _operators_by_type(graph: fx.GraphModule) -> Iterator[tuple[str, str]]:
    """Operators, and the type that they compute in."""
    for node in graph.graph.nodes:
        family, name = _operator(node)
        if not name:
            continue
        if family == "onednn" and name.startswith("q"):
            kind = "int8"
        else:
            known = [_type_of(one) for one in (node, *node.all_input_nodes)]
            kind = next((name for name in known if name), "float32")
        yield kind, name


def _type_of(node: fx.Node) -> str:
    """The type of what a node computes; empty where lowering has not noted it."""
    made = pytree.tree_leaves(node.meta.get("val"))
    return _name_of(made[0].dtype) if made and isinstance(made[0], Tensor) else ""


def _operator(node: fx.Node) -> tuple[str, str]:
    """``aten`` and ``relu`` of a call of ``torch.ops.aten.relu_.default``; empty if it is none."""
    if not isinstance(node.target, torch._ops.OpOverload | torch._ops.OpOverloadPacket):
        return "", ""
    family, name = str(node.target).split(".")[:2]
    return family, name.rstrip("_")


def _name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
