"""Reading an ONNX file that came from a stranger: everything is checked, nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compd.errors import InputError, brief, require_extra
from compd.onnx.external import all_tensors, byte_count, check_size, load_external_
from compd.onnx.order import sort_
from compd.onnx.texts import check_texts

if TYPE_CHECKING:
    import onnx

__all__ = ["read_onnx"]

_EXTERNAL = 1  # onnx.TensorProto.EXTERNAL
MOST_BYTES = 2**31  # the file and its external data; protobuf's own limit for one message
# com.microsoft.nchwc: what ONNX Runtime's optimiser writes for the CPU at hand
_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"})


def read_onnx(path: Path, *, most_bytes: int = MOST_BYTES) -> onnx.ModelProto:
    """Read a model with all its weights; external data is read from the model's folder only.

    Nodes in another order than the format wants, which runtimes do not mind, are sorted.

    Args:
        path: an ``.onnx`` file.
        most_bytes: of the file and its external data.

    Returns:
        the checked model; its tensors all lie in memory.

    Raises:
        CompdError: if the file is missing, no ONNX model, cut short, damaged or too large, if its
            external data is missing, short or outside of its folder, or if it needs operators
            that neither ONNX nor ONNX Runtime define.
    """
    model = _parse(_bytes(path, most_bytes), path)
    check_texts(model)
    _check_domains(model, path)
    sort_(model, path)
    total = model.ByteSize()
    for tensor in all_tensors(model):
        check_size(tensor)
        if tensor.data_location == _EXTERNAL:
            total += byte_count(tensor)
            _check_total(total, most_bytes, path)
            load_external_(tensor, path.parent)
    # A result without a stated shape runs everywhere, and the checker alone minds.
    outputs = [output.type.tensor_type for output in model.graph.output]
    shapeless = [kind for kind in outputs if not kind.HasField("shape")]
    for kind in shapeless:
        kind.shape.SetInParent()
    try:
        require_extra("onnx", "onnx").checker.check_model(model)
    except Exception as error:
        raise InputError(
            f"expected a valid ONNX model, got model={str(path)!r} ({brief(error)}); export it "
            "again, or update the package onnx if the model is newer than that"
        ) from error
    finally:
        for kind in shapeless:
            kind.ClearField("shape")
    return model


def _bytes(path: Path, most_bytes: int) -> bytes:
    if not path.is_file():
        raise InputError(f"expected an ONNX file, got model={str(path)!r} (no such file)")
    try:
        _check_total(path.stat().st_size, most_bytes, path)
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected a readable ONNX file, got model={str(path)!r} ({error.strerror})"
        ) from error


def _parse(data: bytes, path: Path) -> onnx.ModelProto:
    model: onnx.ModelProto = require_extra("onnx", "onnx").ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError; its package is not ours to import
        # A model starts with the field of its format's version.
        cut = data[:1] == b"\x08"
        raise InputError(
            f"expected an ONNX file, got model={str(path)!r} "
            + ("(cut short or damaged); copy it again" if cut else "(another kind of file)")
        ) from error
    if model.ir_version < 1 or not model.HasField("graph"):
        raise InputError(
            f"expected an ONNX file, got model={str(path)!r} (no model in it: another kind of "
            "file, or cut short)"
        )
    if not model.graph.output:
        raise InputError(
            f"expected a model with an output, got model={str(path)!r} (none); is it cut short?"
        )
    if model.graph.sparse_initializer:
        raise InputError(
            f"expected dense weights, got sparse ones in model={str(path)!r}; export it dense"
        )
    return model


def _check_domains(model: onnx.ModelProto, path: Path) -> None:
    own = {function.domain for function in model.functions}
    nodes = list(model.graph.node)
    for function in model.functions:
        nodes.extend(function.node)
    for node in nodes:
        if node.domain not in _DOMAINS | own:
            raise InputError(
                f"expected operators of ONNX or ONNX Runtime, got {node.domain}.{node.op_type} in "
                f"node {node.name!r} of model={str(path)!r}; export the model without custom "
                "operators"
            )


def _check_total(size: int, most: int, path: Path) -> None:
    if size > most:
        raise InputError(
            f"expected an ONNX model of at most {most // 2**20} MiB with its external "
            f"data, got model={str(path)!r} ({size // 2**20} MiB)"
        )
