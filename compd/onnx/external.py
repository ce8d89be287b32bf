"""Tensors whose bytes lie beside an ONNX file: read only from within its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from compd.errors import InputError
from compd.onnx.elements import BITS, element_name

if TYPE_CHECKING:
    import onnx

__all__ = ["all_tensors", "byte_count", "check_size", "load_external_"]

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
_TYPED = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every dense tensor: initialisers and attributes, in subgraphs and functions too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def load_external_(tensor: onnx.TensorProto, folder: Path) -> None:
    """Put the bytes of a tensor that lies beside the model into the tensor, in place.

    Raises:
        CompdError: if the bytes are not inside the folder, or not there in full.
    """
    if tensor.data_location != _EXTERNAL:
        return
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = _inside(folder, location, tensor.name)
    length = byte_count(tensor)
    try:
        offset = int(entries.get("offset", "0"))
        stated = int(entries.get("length", length))
        if offset < 0 or stated != length:
            raise ValueError
    except ValueError:
        raise InputError(
            f"expected {length} bytes at an offset for tensor {tensor.name!r}, got "
            f"offset={entries.get('offset')!r} length={entries.get('length')!r} in the model; "
            "export it again"
        ) from None
    try:
        size = file.stat().st_size
        if offset + length > size:
            raise InputError(
                f"expected {length} bytes of tensor {tensor.name!r} at offset {offset} in "
                f"{location!r}, got a file of {size}; it is cut short: copy it again"
            )
        with file.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise InputError(
            f"expected to read external data {location!r} of tensor {tensor.name!r}, "
            f"got {error.strerror}"
        ) from error
    tensor.raw_data = data
    tensor.data_location = 0  # type: ignore[assignment]  # onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def check_size(tensor: onnx.TensorProto) -> None:
    """Compare the shape that a tensor claims with the data that it holds.

    Raises:
        CompdError: if they differ.
    """
    if tensor.data_location == _EXTERNAL or tensor.data_type == 8:  # strings: nothing to count
        return
    count = byte_count(tensor)
    if tensor.HasField("raw_data"):
        wrong = len(tensor.raw_data) != count
        held = f"{len(tensor.raw_data)} bytes"
    else:
        elements = _elements(tensor)
        fields = [len(getattr(tensor, name)) for name in _TYPED]
        held = f"{max(fields)} values"
        # 4-bit integers lie two in one int32; complex numbers take two values
        fits = {elements, (elements + 1) // 2, 2 * elements}
        wrong = max(fields) not in (
            fits if tensor.data_type in (14, 15, 21, 22, 23) else {elements}
        )
    if wrong:
        raise InputError(
            f"expected tensor {tensor.name!r} to hold what its shape {_shown(tensor)} of "
            f"{element_name(tensor.data_type)} says, got {held}; the file is damaged"
        )


def byte_count(tensor: onnx.TensorProto) -> int:
    """Bytes that a tensor's shape and element type call for.

    Raises:
        CompdError: if a dimension is negative or the elements have no fixed size.
    """
    if tensor.data_type not in BITS:
        raise InputError(
            f"expected numbers in tensor {tensor.name!r}, got elements of type "
            f"{element_name(tensor.data_type)}"
        )
    return (_elements(tensor) * BITS[tensor.data_type] + 7) // 8


def _elements(tensor: onnx.TensorProto) -> int:
    product = 1
    for size in tensor.dims:
        product *= size
        if size < 0:
            raise InputError(
                f"expected sizes of 0 or more in tensor {tensor.name!r}, got shape {_shown(tensor)}"
            )
    return product


def _inside(folder: Path, location: str, name: str) -> Path:
    """The file of external data, where links are followed and none leads out of the folder."""
    parts = PurePosixPath(location.replace("\\", "/"))
    if (
        not location
        or "\0" in location
        or parts.is_absolute()
        or PureWindowsPath(location).anchor
        or ".." in parts.parts
    ):
        raise InputError(
            f"expected external data of tensor {name!r} inside the model's folder, got "
            f"location={location!r}; export the model with its data beside it"
        )
    root = folder.resolve()
    file = (root / location).resolve()
    if not file.is_relative_to(root):
        raise InputError(
            f"expected external data of tensor {name!r} inside the model's folder, got "
            f"location={location!r}, a link that leads out of it; copy the file there"
        )
    if not file.is_file():
        raise InputError(
            f"expected external data of tensor {name!r} beside the model, got "
            f"location={location!r} (no such file); copy it into {str(folder)!r}"
        )
    return file


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: object) -> Iterator[onnx.TensorProto]:
    for node in nodes:  # type: ignore[attr-defined]  # protobuf's repeated field has no public type
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _of_graph(graph)


def _shown(tensor: onnx.TensorProto) -> str:
    return str(tuple(tensor.dims))[:80]
