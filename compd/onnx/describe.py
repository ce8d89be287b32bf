"""What an ONNX file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compd.errors import InputError
from compd.onnx.elements import FLOATS, INT32, INT64, RANGES, element_name

if TYPE_CHECKING:
    import onnx

__all__ = ["Described", "Description", "describe"]


@dataclass(frozen=True)
class Described:
    """An input or output: its element type (``float32``, ``uint8``) and sizes, None where open."""

    name: str
    element: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Description:
    """What a file says of itself."""

    input: Described
    outputs: tuple[Described, ...]
    opset: int
    producer: str
    metadata: Mapping[str, str]


def describe(model: onnx.ModelProto) -> Description:
    """Describe a model that takes one batch of images.

    Raises:
        CompdError: if it has another number of inputs, or one that is no batch of images.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [given for given in model.graph.input if given.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(given.name for given in inputs[:4]) or "none"
        raise InputError(f"expected a model with one image input, got {len(inputs)}: {names}")
    kind = inputs[0].type.tensor_type.elem_type
    image = _described(inputs[0])
    if len(image.shape) != 4 or kind not in FLOATS | RANGES.keys() | {INT32, INT64}:
        raise InputError(
            f"expected a model with one image input (N, C, H, W) or (N, H, W, C), got "
            f"input={image.name!r} of {image.element} {image.shape}"
        )
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    return Description(
        image,
        tuple(_described(output) for output in model.graph.output),
        opsets.get("", opsets.get("ai.onnx", 0)),
        f"{model.producer_name} {model.producer_version}".strip(),
        {entry.key: entry.value for entry in model.metadata_props},
    )


def _described(info: onnx.ValueInfoProto) -> Described:
    tensor = info.type.tensor_type
    dims = tensor.shape.dim
    sizes = (d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims)
    return Described(info.name, element_name(tensor.elem_type), tuple(sizes))
