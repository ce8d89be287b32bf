"""PyTorch's quantiser, with a faster rounding."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.models.rounding import rounded

__all__ = ["Quantiser", "recipe", "set_grid_"]


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


def set_grid_(quantiser: FakeQuantize) -> None:
    """Write the scales and zero points that follow from a quantiser's ranges, in place."""
    scale, zero_point = quantiser.calculate_qparams()
    for buffer, value in ((quantiser.scale, scale), (quantiser.zero_point, zero_point)):
        buffer.resize_(value.shape).copy_(value)


def recipe(kind: type[FakeQuantize], **settings: Any) -> Any:
    """How to make quantisers: PyTorch calls it for each place in the graph."""
    return kind.with_args(**settings)  # type: ignore[no-untyped-call]
