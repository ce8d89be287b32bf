"""Runtimes inside PyTorch: float modules, and the four int8 engines."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from compd.compress.int8 import convert, quantized_engine
from compd.models.census import Census, counted
from compd.models.factory import model_hash
from compd.models.inputs import steady, to_input
from compd.models.operators import operators_of
from compd.runtimes.base import Runtime
from compd.runtimes.batching import Batching, dynamic_layers, split

__all__ = ["FloatRuntime", "Int8Runtime"]


class FloatRuntime(Runtime):
    """A float module as it is: the original, a pruned model, or a simulation.

    Args:
        module: float pixels in 0..1 to logits, already on ``device``.
        device: where it runs.
        engine: what to call it.
    """

    def __init__(self, module: nn.Module, device: torch.device, engine: str = "fp32") -> None:
        self._module = module
        self._batching = Batching.DEPENDS if dynamic_layers(module) else Batching.ANY
        self._run = steady(module) if self._batching is Batching.ANY else module
        self._device = device
        self._engine = engine

    @property
    def engine(self) -> str:
        """What it is called."""
        return self._engine

    @property
    def head(self) -> str | None:
        """As its module says it; None if that does not."""
        return getattr(self._module, "head", None)

    @property
    def batching(self) -> Batching:
        """Whether it has layers that compute over a whole batch; then it is asked accordingly."""
        return self._batching

    @property
    def steady(self) -> bool:
        """Small batches are filled up: :func:`compd.models.inputs.steady`."""
        return True

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of the numbers and the computation."""
        return model_hash(self._module)

    def runs(self, module: nn.Module) -> bool:
        """Whether that very module answers here."""
        return self._module is module

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K) on the CPU."""
        with torch.inference_mode():
            parts = [
                self._run(to_input(part, self._device)).float().cpu()
                for part in split(images, self._batching, None)
            ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class Int8Runtime(Runtime):
    """A shadow converted to real int8 kernels; always on the CPU.

    Args:
        shadow: calibrated, from ``compd.compress``; not changed.
        engine: one of ``compd.compress.int8.ENGINES``.
    """

    def __init__(self, shadow: nn.Module, engine: str) -> None:
        self._engine = engine
        self._module = convert(shadow, engine)

    @property
    def engine(self) -> str:
        """The int8 engine."""
        return self._engine

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 (hex) of int8 weights, biases, scales and zero points."""
        return model_hash(self._module)

    @cached_property
    def census(self) -> Census:
        """Its operators, by the type that they compute in."""
        return counted(operators_of(self._module))

    def run(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 logits (N, K)."""
        with quantized_engine(self._engine), torch.inference_mode():
            logits: Tensor = self._module(to_input(images))
            return logits
