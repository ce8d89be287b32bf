"""PyTorch's quantisers: activations are rounded faster, and frozen weights once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.models.rounding import rounded

__all__ = ["Quantiser", "WeightQuantiser", "recipe", "set_grid_"]


class Quantiser(FakeQuantize):
    """PyTorch's quantiser of activations, which rounds with :func:`rounded`."""

    def forward(self, x: Tensor) -> Tensor:
        """Observe the range, if that is on, and round, if that is on."""
        if self.observer_enabled[0]:
            self.activation_post_process(x.detach())
            set_grid_(self)
        if not self.fake_quant_enabled[0]:
            return x
        ends = (self.activation_post_process.quant_min, self.activation_post_process.quant_max)
        return rounded(x, self.scale, self.zero_point, *ends)


class WeightQuantiser(FakeQuantize):
    """PyTorch's quantiser of weights, which keeps what it made of frozen ones.

    Whatever goes into that is compared with what went into it before: a counter of changes would
    miss those through ``.data``. On a layer of 64 channels that takes a sixth of the time of
    PyTorch's kernel, which has no vector instructions (2.13).
    """

    _kept: tuple[tuple[Tensor, ...], Tensor] | None = None  # copies of what it is of, and itself

    def forward(self, X: Tensor) -> Tensor:  # noqa: N803 (PyTorch's name)
        """Observe the range, if that is on, and round, if that is on."""
        if not self._frozen(X):
            self._kept = None
            return super().forward(X)  # type: ignore[no-any-return,no-untyped-call]
        given, kept = (X, self.scale, self.zero_point), self._kept
        if kept is None or not all(map(_same, kept[0], given)):
            # Not as tensors of inference mode, which no gradient could pass.
            with torch.inference_mode(False), torch.no_grad():
                made: Tensor = super().forward(X)  # type: ignore[no-untyped-call]
                kept = tuple(one.clone() for one in given), made
            self._kept = kept
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        """Copies begin without."""
        return {**self.__dict__, "_kept": None}

    def _frozen(self, weight: Tensor) -> bool:
        """Whether it is a constant that is rounded over a range that is one."""
        # Elsewhere PyTorch's kernel is fast, and a comparison waits for the device.
        if weight.device.type != "cpu" or weight.is_inference():
            return False
        learns = torch.is_grad_enabled() and weight.requires_grad
        return not learns and bool(self.fake_quant_enabled[0]) and not self.observer_enabled[0]


def _same(kept: Tensor, now: Tensor) -> bool:
    return kept.device == now.device and kept.dtype == now.dtype and torch.equal(kept, now)


def set_grid_(quantiser: FakeQuantize) -> None:
    """Write the scales and zero points that follow from a quantiser's ranges, in place."""
    scale, zero_point = quantiser.calculate_qparams()
    for buffer, value in ((quantiser.scale, scale), (quantiser.zero_point, zero_point)):
        buffer.resize_(value.shape).copy_(value)


def recipe(kind: type[FakeQuantize], **settings: Any) -> Any:
    """How to make quantisers: PyTorch calls it for each place in the graph."""
    return kind.with_args(**settings)  # type: ignore[no-untyped-call]
