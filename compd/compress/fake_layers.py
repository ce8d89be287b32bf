"""Layers that int8 kernels exist of, and that PyTorch (2.13) has no fake-quantised form of.

Their weights have one scale for the whole tensor, which is what all engines take.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.ao.quantization import QConfig, QConfigMapping
from torch.ao.quantization.fake_quantize import FakeQuantize
from torch.ao.quantization.observer import MinMaxObserver

from compd.compress.quantiser import WeightQuantiser, recipe

__all__ = ["FakePReLU", "FakeTransposed", "fake_layers_", "map_layers", "real_layers_"]


class WholeObserver(MinMaxObserver):
    """Smallest and largest weight of a tensor as it is now: training changes it."""

    def forward(self, x_orig: Tensor) -> Tensor:
        """Set the range from weights."""
        self.reset_min_max_vals()
        return super().forward(x_orig)  # type: ignore[no-any-return,no-untyped-call]


class SlopeObserver(WholeObserver):
    """The range of PReLU's slopes and of 1, which is a level.

    The int8 kernel multiplies what is positive by 1 in the scale of the slopes: where their range
    ends below 1, as PyTorch chooses it, all that is positive shrinks (torch 2.13).
    """

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Scale and zero point, (1,) each."""
        low, high = self.min_val.clamp(max=0), self.max_val.clamp(min=1)
        scale = 1 / ((self.quant_max - self.quant_min) / (high - low)).floor().clamp(min=1)
        zero = self.quant_min - (low / scale).round()
        return scale.reshape(1), zero.reshape(1).to(torch.int64)


class FakeTransposed(nn.ConvTranspose2d):
    """A transposed convolution whose weights are rounded in each call."""

    weight_fake_quant: FakeQuantize

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, C, H, W) to (N, K, ...)."""
        del output_size
        return F.conv_transpose2d(
            input,
            self.weight_fake_quant(self.weight),
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            self.output_padding,
            self.groups,
            self.dilation,
        )


class FakePReLU(nn.PReLU):
    """A PReLU whose slopes are rounded in each call."""

    weight_fake_quant: FakeQuantize

    def forward(self, input: Tensor) -> Tensor:
        """(N, ...) to the same shape."""
        return F.prelu(input, self.weight_fake_quant(self.weight))


_FAKE: dict[type[nn.Module], type[nn.Module]] = {
    nn.ConvTranspose2d: FakeTransposed,
    nn.PReLU: FakePReLU,
}
_REAL = {fake: real for real, fake in _FAKE.items()}


def map_layers(
    mapping: QConfigMapping, activation: Any, *, weight_bits: int, activation_bits: int
) -> QConfigMapping:
    """Add how the weights of these layers are rounded.

    Args:
        mapping: changed, and returned.
        activation: how activations are.
        weight_bits: 8 down to 4; one fewer beside activations of 8 bits, so that no AVX2 kernel
            overflows.
        activation_bits: 8 or 7.
    """
    half = 2 ** (min(weight_bits, 7 if activation_bits == 8 else 8) - 1)
    transposed = recipe(
        WeightQuantiser,
        observer=WholeObserver,
        quant_min=-half,
        quant_max=half - 1,
        dtype=torch.qint8,
        qscheme=torch.per_tensor_symmetric,
    )
    slopes = recipe(
        WeightQuantiser,
        observer=SlopeObserver,
        quant_min=0,
        quant_max=255,
        dtype=torch.quint8,
        qscheme=torch.per_tensor_affine,
    )
    for kind, weight in ((nn.ConvTranspose2d, transposed), (nn.PReLU, slopes)):
        mapping.set_object_type(kind, QConfig(activation, weight))  # type: ignore[no-untyped-call]
    return mapping


def fake_layers_(shadow: fx.GraphModule) -> None:
    """Let a prepared graph round the weights of these layers, in place."""
    for module in list(shadow.modules()):
        fake, qconfig = _FAKE.get(type(module)), getattr(module, "qconfig", None)
        if fake is not None and qconfig is not None:
            module.__class__ = fake
            module.weight_fake_quant = qconfig.weight()


def real_layers_(shadow: fx.GraphModule) -> None:
    """Make them PyTorch's own again, which are converted with the scales that they have here."""
    for module in list(shadow.modules()):
        real = _REAL.get(type(module))
        if real is None:
            continue
        quantiser: Any = module.weight_fake_quant
        del module.weight_fake_quant
        module.__class__ = real
        module.qconfig = QConfig(  # type: ignore[assignment,no-untyped-call]
            module.qconfig.activation,  # type: ignore[union-attr]
            lambda quantiser=quantiser: copy.deepcopy(quantiser),
        )
