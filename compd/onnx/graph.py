"""An ONNX graph as a PyTorch module that computes the same and has gradients."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compd.errors import CompdError, InputError, brief, require_extra
from compd.models.rounding import open_ends_
from compd.models.sizes import Sizes
from compd.onnx.batch import check_images_apart, keep_batch
from compd.onnx.elements import FLOATS, RANGES, as_tensor
from compd.onnx.expand import EXPANDED
from compd.onnx.node import Node, Operator
from compd.onnx.ops import OPERATORS
from compd.onnx.probe import PROBES, Value, constant, merged, of_size, spread
from compd.onnx.shapes import FROM_SIZES

if TYPE_CHECKING:
    import onnx

__all__ = ["to_module"]

# One tensor of a batch of two: a gigabyte of floats is no image classifier's.
_MOST_ELEMENTS = 2**28
_MOST_COMPUTED = 2**26  # elements of all constants that are computed while converting


def to_module(model: onnx.ModelProto, *, shape: Sequence[int] | None = None) -> fx.GraphModule:
    """Convert a model to a module that computes what the file says, with gradients.

    The first dimension of every input is the batch, and the module takes batches of any size even
    where the file fixes one. Weights are buffers. Quantised parts compute with the file's own
    scales and zero points; their gradient passes straight through the rounding, and is 0 where a
    value was clipped. Halves and doubles are computed in float32.

    Args:
        model: from :func:`compd.onnx.read_onnx`; not changed.
        shape: (C, H, W) of the image, or (H, W, C), where the file leaves it open.

    Returns:
        a module that takes float32 tensors, one an input of the file, and returns the output, or
        a tuple if there are several. Integer inputs and outputs are whole float32 numbers.

    Raises:
        CompdError: if an operator, or a way to use it, has no gradient here; names the node.
    """
    onnx = require_extra("onnx", "onnx")
    if model.functions:
        model = require_extra("onnx.inliner", "onnx").inline_local_functions(model)
    conversion = _Conversion(onnx, {entry.domain: entry.version for entry in model.opset_import})
    for tensor in model.graph.initializer:
        conversion.values[tensor.name] = constant(as_tensor(tensor), tensor.data_type)
    for given in model.graph.input:
        if given.name not in conversion.values:
            conversion.add_input(given, shape)
    for proto in model.graph.node:
        conversion.add(proto)
    module = conversion.finish([output.name for output in model.graph.output])
    if conversion.fixed and conversion.inputs == 1:
        check_images_apart(
            module, (conversion.fixed, *conversion.values[conversion.first].shape[1:])
        )
    return module


@dataclass
class _Conversion:
    """The module so far: what is known of each value, and where it is in the new graph."""

    onnx: Any
    opsets: dict[str, int]
    values: dict[str, Value] = field(default_factory=dict)
    proxies: dict[str, fx.Proxy] = field(default_factory=dict)
    root: nn.Module = field(default_factory=nn.Module)
    graph: fx.Graph = field(default_factory=fx.Graph)
    fixed: int | None = None  # the batch that the file insists on
    first: str = ""  # the first input, which has the batch
    inputs: int = 0
    size: fx.Proxy | None = None
    computed: int = 0  # elements of constants

    def __post_init__(self) -> None:
        self.tracer = fx.proxy.GraphAppendingTracer(self.graph)

    def add_input(self, given: onnx.ValueInfoProto, shape: Sequence[int] | None) -> None:
        """Add an input of the file; the first dimension is the batch."""
        kind = given.type.tensor_type.elem_type
        dims = given.type.tensor_type.shape.dim
        sizes = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in dims]
        if shape is not None and len(shape) == len(sizes) - 1:
            sizes[1:] = [own or wanted for own, wanted in zip(sizes[1:], shape, strict=True)]
        if kind not in FLOATS | RANGES.keys() or not sizes or None in sizes[1:]:
            raise InputError(
                f"expected an input of numbers whose sizes are known but for the batch, got "
                f"input={given.name!r} of shape {tuple(sizes)}; give the image's shape"
            )
        if math.prod(size or 0 for size in sizes[1:]) * max(PROBES) > _MOST_ELEMENTS:
            raise InputError(
                f"expected images, got input={given.name!r} of shape {tuple(sizes)}, a gigabyte "
                "or more"
            )
        self.first = self.first or given.name
        self.fixed = self.fixed or sizes[0]
        self.values[given.name] = Value(of_size(sizes).probes, kind)
        # Names of arguments are Python's, and the file's may be any.
        argument = self.graph.placeholder(f"x{self.inputs}" if self.inputs else "x")
        self.proxies[given.name] = self._proxy(argument)
        self.inputs += 1

    def add(self, proto: onnx.NodeProto) -> None:
        """Add a node of the file: computed here if it is constant, else in the new graph."""
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        kind = f"{domain}.{proto.op_type}".lstrip(".")
        if kind in EXPANDED:
            try:
                parts = EXPANDED[kind](proto)
            except (ValueError, IndexError) as error:
                raise InputError(
                    f"expected the inputs and the result of node {proto.name!r} ({kind}), got "
                    f"{len(proto.input)} and {len(proto.output)}; is the file damaged?"
                ) from error
            for part in parts:
                self.add(part)
            return
        attributes = {a.name: self._attribute(a) for a in proto.attribute}
        name = proto.name or (proto.output[0] if proto.output else "")
        if missing := [i for i in proto.input if i and i not in self.values]:
            raise InputError(
                f"expected the inputs of node {name!r} ({kind}) before it, got {missing[0]!r}, "
                "which nothing has computed; gradients are not available for this model"
            )
        inputs = [self.values[i] if i else None for i in proto.input]
        names = list(proto.input)
        if kind == "ConstantOfShape":  # the same as spreading one number
            fill = attributes.get("value", constant(torch.zeros(1)))
            filler = f"{proto.output[0]} value"
            self.values[filler] = constant(fill.probes[0].reshape(()), fill.type)
            kind, names, inputs = "Expand", [filler, *names], [self.values[filler], *inputs]
        node = Node(
            kind,
            name,
            self.opsets.get(proto.domain, self.opsets.get("ai.onnx", 1)),
            attributes,
            tuple(v.shape if v else () for v in inputs),
            tuple(v.type if v else 0 for v in inputs),
            len(proto.output),
            all(v is None or v.known for v in inputs),
        )
        if kind not in OPERATORS.keys() | FROM_SIZES.keys():
            raise node.refuse(f"operator {kind!r}")
        try:
            if kind in FROM_SIZES:
                self.values[proto.output[0]] = FROM_SIZES[kind](node, inputs)
                return
            if kind == "Reshape":
                inputs[1:2] = [keep_batch(inputs[0], target, self.fixed) for target in inputs[1:2]]
            self._apply(node, OPERATORS[kind], names, inputs, list(proto.output))
        except CompdError:
            raise
        except Exception as error:
            text = brief(error)
            raise InputError(
                f"expected node {name!r} ({kind}) to fit its inputs of shape "
                f"{', '.join(str(shape) for shape in node.shapes)} for any batch, got "
                f"{type(error).__name__}: {text}; gradients are not available for this model"
            ) from error

    def finish(self, outputs: list[str]) -> fx.GraphModule:
        """The module, with these outputs."""
        for name in outputs:
            if name not in self.values:
                raise InputError(f"expected output {name!r} to be computed, got no node that does")
        results = [self._on_graph(name).node for name in outputs]
        self.graph.output(results[0] if len(results) == 1 else tuple(results))
        self.graph.eliminate_dead_code()
        open_ends_(self.graph)
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph, "OnnxModule").eval()

    def _apply(
        self,
        node: Node,
        operator: Operator,
        names: list[str],
        inputs: list[Value | None],
        outputs: list[str],
    ) -> None:
        kind = _type(node)
        sizes = self._probe(node, operator, inputs, meta=True)
        if any(part.numel() > _MOST_ELEMENTS for result in sizes for part in result):
            raise node.refuse("a result of a gigabyte or more")
        if node.folded:
            self.computed += sum(part.numel() for result in sizes for part in result)
            if self.computed > _MOST_COMPUTED:
                raise node.refuse("constants of a quarter of a gigabyte or more")
            results = self._probe(node, operator, inputs, meta=False)
            known = [merged(parts, kind) for parts in zip(*results, strict=True)]
            # Numbers that grow with the batch are shapes; a tensor that does has to be computed.
            if all(v.constant or _is_shape(v) for v in known):
                self.values.update(zip(outputs, known, strict=False))
                return
        arguments = [
            self._argument(node, operator, at, name, value)
            for at, (name, value) in enumerate(zip(names, inputs, strict=True))
        ]
        made = operator.function(node, *arguments)
        made = made if isinstance(made, tuple) else (made,)
        for name, proxy, parts in zip(outputs, made, zip(*sizes, strict=True), strict=False):
            self.values[name] = Value(tuple(parts), kind)
            self.proxies[name] = proxy

    def _probe(
        self, node: Node, operator: Operator, inputs: list[Value | None], *, meta: bool
    ) -> list[tuple[Tensor, ...]]:
        """Results at each probe: sizes only, or numbers."""
        results: list[tuple[Tensor, ...]] = []
        still = all(v is None or v.constant for v in inputs)
        for i in range(len(PROBES)):
            if i and still:  # weights are large: once is enough
                results.append(results[0])
                continue
            with Sizes() if meta else nullcontext():
                made = operator.function(
                    node, *[_probed(node, operator, at, v, i, meta) for at, v in enumerate(inputs)]
                )
            results.append(made if isinstance(made, tuple) else (made,))
        return results

    def _argument(
        self, node: Node, operator: Operator, at: int, name: str, value: Value | None
    ) -> Any:
        """An input as the new graph has it."""
        if value is None:
            return None
        if at in operator.lists:
            return spread([probe.tolist() for probe in value.probes], self._batch)
        if at in operator.numbers and (number := value.uniform()) is not None:
            return number
        if value.known and not value.constant:
            raise node.refuse(f"numbers {name!r} that depend on the batch")
        return self._on_graph(name)

    def _on_graph(self, name: str) -> fx.Proxy:
        """A value of the new graph; a constant becomes a buffer when it is first asked for."""
        if name not in self.proxies:
            value = self.values[name]
            if not value.constant:
                raise InputError(
                    f"expected numbers in {name!r}, got sizes that depend on the batch; "
                    "gradients are not available for this model"
                )
            tensor = value.probes[0]
            buffer = _safe(name)
            while hasattr(self.root, buffer):
                buffer += "_"
            whole = tensor if tensor.dtype == torch.bool else tensor.float()
            self.root.register_buffer(buffer, whole.clone(memory_format=torch.contiguous_format))
            self.proxies[name] = self._proxy(self.graph.get_attr(buffer))
        return self.proxies[name]

    def _batch(self) -> fx.Proxy:
        if self.size is None:
            sizes: Any = self.proxies[self.first].shape
            self.size = sizes[0]
        return self.size

    def _proxy(self, node: fx.Node) -> fx.Proxy:
        return fx.Proxy(node, self.tracer)

    def _attribute(self, attribute: onnx.AttributeProto) -> Any:
        try:
            value = self.onnx.helper.get_attribute_value(attribute)
        except ValueError as error:
            raise InputError(
                f"expected a value of attribute {attribute.name!r}, got {error}; "
                "is the file damaged?"
            ) from error
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        if isinstance(value, self.onnx.TensorProto):
            return constant(as_tensor(value), value.data_type)
        return list(value) if hasattr(value, "__len__") else value


def _probed(
    node: Node, operator: Operator, at: int, value: Value | None, probe: int, meta: bool
) -> Any:
    """An input at one probe, in the form that the operator wants."""
    if value is None:
        return None
    tensor = value.probes[probe]
    if at in operator.lists:
        if not value.known:
            raise node.refuse(f"input {at} that is computed from the image")
        return tensor.tolist()
    if at in operator.numbers and (number := value.uniform()) is not None:
        return number
    if not node.folded and value.known and tensor.dtype != torch.bool:
        tensor = tensor.float()
    return tensor.to("meta") if meta else tensor


def _is_shape(value: Value) -> bool:
    tensor = value.probes[0]
    return tensor.dim() <= 1 and not tensor.is_floating_point()


def _type(node: Node) -> int:
    """The element type of a node's results, as far as zero points need it."""
    return int(node.get("to", 0)) if node.kind == "Cast" else (node.types[0] if node.types else 0)


def _safe(name: str) -> str:
    odd = keyword.iskeyword(name) or not name[:1].isalpha()
    return re.sub(r"\W", "_", f"_{name}" if odd else name, flags=re.ASCII)
