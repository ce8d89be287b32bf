"""What grows while a graph of OpenVINO is told as an ONNX one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import InputError
from compd.onnx.parts import keep_output_

if TYPE_CHECKING:
    import onnx

__all__ = ["Growing"]

_OPSET = 18
_FLOAT = 1  # onnx.TensorProto.FLOAT


class Growing:
    """An ONNX graph that grows."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self._nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self._inputs: list[Any] = []

    def model(self, result: Any) -> onnx.ModelProto:
        """The model, as far as a result needs it."""
        helper, source = self._onnx.helper, _source(result, 0)
        named = self.constants.items()
        graph = helper.make_graph(
            self._nodes,
            "openvino",
            self._inputs,
            [helper.make_tensor_value_info(source, _FLOAT, None)],
            [self._onnx.numpy_helper.from_array(value, name) for name, value in named],
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("compd", 1)]
        made: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets)
        keep_output_(made, source)
        return made

    def refuse(self, operator: Any, what: str) -> InputError:
        """The error for an operator that is not converted."""
        return InputError(
            f"expected operators of OpenVINO that compd can differentiate, got {what} in "
            f"{operator.get_type_name()} {operator.get_friendly_name()!r}; gradients are not "
            "available for this model: name the ONNX file that it was made of, or search without"
        )

    def add_input(self, operator: Any) -> None:
        """Add the image."""
        sizes = [
            int(size.get_length()) if size.is_static else None
            for size in operator.output(0).get_partial_shape()
        ]
        self._inputs.append(
            self._onnx.helper.make_tensor_value_info(_output(operator), _FLOAT, ["n", *sizes[1:]])
        )

    def add_constant(self, operator: Any) -> None:
        """Add a constant of the file."""
        self.constants[_output(operator)] = _numbers(operator)

    def inputs_of(self, operator: Any) -> list[str]:
        """The names of what an operator takes."""
        return [_source(operator, at) for at in range(len(operator.inputs()))]

    def node(
        self, operator: Any, kind: str, inputs: list[str], results: int = 0, **attributes: Any
    ) -> None:
        """Add a node that makes the results of an operator of OpenVINO, or the first of them."""
        count = results or len(operator.outputs())
        outputs = [_output(operator, i) for i in range(count)]
        domain, _, name = kind.rpartition(".")
        self._nodes.append(
            self._onnx.helper.make_node(
                name, inputs, outputs, operator.get_friendly_name(), domain=domain, **attributes
            )
        )

    def between(
        self, operator: Any, kind: str, inputs: list[str], tag: str, **attributes: Any
    ) -> str:
        """Add a node on the way to them, and return the name of its result."""
        name = f"{operator.get_name()} {tag}"
        self._nodes.append(self._onnx.helper.make_node(kind, inputs, [name], **attributes))
        return name

    def constant(self, operator: Any, tag: str, value: Any, kind: str = "int64") -> str:
        """Add a constant, and return its name."""
        name = f"{operator.get_name()} {tag}"
        self.constants[name] = np.asarray(value, kind)
        return name

    def known(self, operator: Any, name: str) -> list[int]:
        """The whole numbers of an input that has to be a constant."""
        if name not in self.constants:
            raise self.refuse(operator, "an input that is computed")
        return [int(value) for value in self.constants[name].reshape(-1)]


def _source(operator: Any, at: int) -> str:
    """The name of what an input takes."""
    made = operator.input(at).get_source_output()
    return _output(made.get_node(), made.get_index())


def _output(operator: Any, at: int = 0) -> str:
    return f"{operator.get_name()}:{at}"


def _numbers(operator: Any) -> NDArray[Any]:
    """A constant's numbers: whole ones of 32 bits or more as they are, all others as float32."""
    kind = operator.get_element_type().get_type_name()
    if kind in ("i64", "i32", "u32", "u64", "boolean"):
        return np.array(operator.get_data(), bool if kind == "boolean" else np.int64)
    return np.array(operator.get_data(dtype=np.float32))
