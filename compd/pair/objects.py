"""Modules and functions of this process as runtimes: how they are asked, and what they answer."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn

from compd.models.census import Census, counted
from compd.models.inputs import to_input
from compd.models.operators import operators_of
from compd.models.plain import numbers_of
from compd.pair.calls import Calls, numbers_from
from compd.pair.identity import content_hash
from compd.runtimes import FloatRuntime, Runtime
from compd.runtimes.batching import Batching
from compd.runtimes.outputs import Output, output_of

__all__ = ["CallableRuntime", "Logits", "ModuleRuntime", "device_of", "name_of"]


class Logits(nn.Module):
    """A network whose answer may be an object with ``logits``, as those of transformers have.

    Args:
        net: takes float pixels, normalised if there is a normalisation in front.
        front: normalises; None takes pixels in 0..1 as they are.
    """

    def __init__(
        self, net: nn.Module, front: nn.Module | None = None, said: str | None = None
    ) -> None:
        super().__init__()
        self.front, self.net, self._said = front, net, said
        kinds = (one.dtype for one in net.parameters() if one.is_floating_point())
        dtype = next(kinds, torch.float32)
        self._dtype = None if dtype is torch.float32 else dtype  # that it computes in
        self.output = Output("sigmoid" if said in ("sigmoid", "binary") else said or "logits")

    @property
    def head(self) -> str | None:
        """What makes probabilities of its logits; None where nobody says it."""
        return "softmax" if self._said == "logits" else self.output.head

    def forward(self, x: Tensor) -> Tensor:
        """Float pixels (N, C, H, W) in 0..1 to logits (N, K)."""
        return self.output.logits(self.numbers(x), name_of(self))

    def numbers(self, x: Tensor) -> Tensor:
        """What the network itself answers: (N, K)."""
        x = x if self.front is None else self.front(x)
        found: Any = numbers_of(self.net(x if self._dtype is None else x.to(self._dtype)))
        found = found if self._dtype is None else found.float()
        one = isinstance(found, Tensor) and found.ndim == 1  # number an image
        return found[:, None] if one else found  # type: ignore[no-any-return]

    def learn(self, images: Tensor) -> None:
        """Tell what the numbers are by those of some images, uint8 (N, C, H, W).

        Raises:
            CompdError: if that is not clear, or the network does not run.
        """
        device, name = device_of(self), name_of(self)

        def run(part: Tensor) -> Tensor:
            with torch.inference_mode():
                return self.numbers(to_input(part, device))

        values = torch.cat([numbers_from(run, one[None], name, least=1) for one in images])
        self.output = output_of(values, said=self._said, told=_last_operator(self.net), name=name)


class ModuleRuntime(FloatRuntime):
    """A module as it ships, of any kind of numbers.

    Args:
        module: float pixels in 0..1 to logits.
        device: where it runs.
        batch: images a call at most; None for any number.
    """

    def __init__(self, module: Logits, device: torch.device, batch: int | None) -> None:
        super().__init__(_frozen(module), device, f"torch-{device.type}")
        self.module = module
        self._run = module  # as it is: batches are not filled up
        self._calls = Calls(super().run, batch, name_of(module), self._batching)

    @property
    def name(self) -> str:
        """The class of the module."""
        return self._calls.name

    @property
    def census(self) -> Census:
        """Its layers with weights, or all operators of a graph of torch.fx."""
        return counted(operators_of(self.module.net))

    @property
    def batching(self) -> Batching:
        """Told by its layers, else tried with the first images that it is asked about."""
        return self._calls.batching

    @property
    def steady(self) -> bool:
        """Whether it is asked image by image; else nobody knows."""
        return self.batching is not Batching.ANY

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K) on the CPU."""
        return self._calls(images)


def _frozen(module: Logits) -> Logits:
    """The module, none of whose weights asks for a gradient; in place."""
    for weight in module.parameters():
        with contextlib.suppress(RuntimeError):  # copies of a script's own are results, no leaves
            weight.requires_grad_(False)
    return module


class CallableRuntime(Runtime):
    """Anything that answers images with numbers.

    Args:
        call: uint8 (N, C, H, W) -> (N, K), a tensor or an array.
        batch: images a call at most; None for any number.
        output: what it answers with, one of ``OUTPUTS``; None where its answers tell.
    """

    def __init__(
        self, call: Callable[[Tensor], Any], batch: int | None = None, output: str | None = None
    ) -> None:
        self._call, self._said = call, output
        self._calls = Calls(call, batch, self.name, Batching.ANY, self._learn)
        self._output: Output | None = None

    @property
    def engine(self) -> str:
        """Python code of the user's."""
        return "python-callable"

    @property
    def name(self) -> str:
        """The callable's own name."""
        function = self._function
        return f"{function.__module__}.{function.__qualname__}"

    @property
    def takes(self) -> str:
        """Images as they are."""
        return "uint8 pixels, NCHW, RGB"

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the name, the code, and of what it holds as far as that can be told."""
        return content_hash((self.name, self._call))

    def same_as(self, other: Runtime) -> bool:
        """Only if it is the same object: what a session holds is not in its hash."""
        return isinstance(other, CallableRuntime) and self._call == other._call

    @property
    def batching(self) -> Batching:
        """Tried with images of the size that it is asked about first."""
        return self._calls.batching

    @property
    def head(self) -> str | None:
        """What makes probabilities of its logits; None where nobody says it."""
        known = None if self._output is None else self._output.head
        return "softmax" if self._said == "logits" else known

    @property
    def steady(self) -> bool:
        """Whether it is asked image by image; else nobody knows."""
        return self.batching is not Batching.ANY

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K) on the CPU."""
        values = self._calls(images)
        if self._output is None:  # it answers no images but these
            self._learn(values)
        return values if self._output is None else self._output.logits(values, self.name)

    def _learn(self, values: Tensor) -> None:
        self._output = output_of(values, said=self._said, told=None, name=self.name)

    @property
    def _function(self) -> Any:
        """What carries the name: the function, or the class of an object that is called."""
        inner = inspect.unwrap(self._call)
        inner = getattr(inner, "func", inner)  # functools.partial
        return inner if hasattr(inner, "__qualname__") else type(inner)


def _last_operator(net: nn.Module) -> str | None:
    """``probs`` or ``sigmoid`` if a network ends in a softmax or a sigmoid, as far as it tells."""
    try:
        nodes = list(fx.symbolic_trace(net).graph.nodes)
    except Exception:  # of whatever the network does
        return None
    last = nodes[-1].all_input_nodes[0] if nodes[-1].all_input_nodes else None
    if last is None:
        return None
    what = net.get_submodule(last.target) if last.op == "call_module" else last.target
    name = what if isinstance(what, str) else getattr(what, "__name__", type(what).__name__)
    return {"softmax": "probs", "Softmax": "probs", "sigmoid": "sigmoid", "Sigmoid": "sigmoid"}.get(
        name
    )


def device_of(module: nn.Module) -> torch.device:
    """Where the numbers of a module lie; the CPU if it has none."""
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def name_of(module: nn.Module) -> str:
    """The class of a network."""
    return type(module.net if isinstance(module, Logits) else module).__name__
