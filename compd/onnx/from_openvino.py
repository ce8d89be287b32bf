"""OpenVINO's graphs as ONNX ones, node by node, so that what converts ONNX converts them.

Of what an IR can hold, this is what classifiers are made of; anything else is named and refused.
Only what is said here is looked at: the result is to be converted (:func:`compd.onnx.to_module`),
not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from compd.errors import InputError, brief, require_extra
from compd.onnx.growing import Growing
from compd.onnx.openvino_nodes import SAME, SPECIAL

if TYPE_CHECKING:
    import onnx

__all__ = ["read_openvino"]

_MOST_BYTES = 2**31


def read_openvino(path: Path, output: str | None = None) -> onnx.ModelProto:
    """Read an IR (an ``.xml`` with its ``.bin`` beside it) as an ONNX model.

    Args:
        path: of the ``.xml``.
        output: name of the output; None for the only one.

    Raises:
        CompdError: if it cannot be read, or has an operator without a counterpart.
    """
    openvino = require_extra("openvino", "openvino")
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(f"expected a model of at most 2 GiB, got model={str(path)!r}")
    try:
        model = openvino.Core().read_model(str(path))
    except RuntimeError as error:
        raise InputError(
            f"expected a model that OpenVINO can read, got {str(path)!r} ({brief(error)})"
        ) from error
    graph = Growing(require_extra("onnx", "onnx"))
    for operator in model.get_ordered_ops():
        try:
            _add(graph, operator)
        except (KeyError, IndexError, ValueError, RuntimeError, TypeError) as error:
            raise graph.refuse(operator, f"{type(error).__name__}: {brief(error)}") from error
    for result in model.outputs:
        if output is None or output in result.get_names():
            return graph.model(result.get_node())
    raise InputError(f"expected an output {output!r} in {path.name!r}, got none of that name")


def _add(graph: Growing, operator: Any) -> None:
    kind, attributes = operator.get_type_name(), operator.get_attributes()
    if kind == "Parameter":
        graph.add_input(operator)
    elif kind == "Constant":
        graph.add_constant(operator)
    elif kind in SPECIAL:
        SPECIAL[kind](graph, operator, graph.inputs_of(operator), attributes)
    elif kind in SAME:
        graph.node(operator, SAME[kind], graph.inputs_of(operator))
    elif kind != "Result":
        raise graph.refuse(operator, f"operator {kind}")
