"""A shadow as a graph that an exporter can read: integers, scales and zero points.

In a shadow the integers are hidden: fake-quantisation rounds floats on the way. Here weights are
int8 buffers, and each rounding of an activation is a quantise and a dequantise operator.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization.fake_quantize import FakeQuantize
from torch.ao.quantization.fx import _decomposed as _decomposed  # registers the operators

from compd.compress.fake_layers import FakePReLU
from compd.errors import ModelError
from compd.wording import setting

__all__ = ["Integers", "Rounding", "explicit", "is_quantised"]

_OPS: Any = torch.ops.quantized_decomposed


class Rounding(nn.Module):
    """An activation through 8 bits and back: ``(round(x / scale) + zero point)``, saturated.

    It saturates at the ends of 8 bits, as all int8 kernels of PyTorch do, and also where the ranges
    were set to use 7 of them (measured: 0..255 comes out of fbgemm, onednn and qnnpack).

    Args:
        quantiser: what it stands for.
        signed: int8 instead of uint8, moved by 128.
    """

    def __init__(self, quantiser: FakeQuantize, *, signed: bool) -> None:
        super().__init__()
        self.scale = float(quantiser.scale)
        self.zero_point = int(quantiser.zero_point)
        self.signed = signed

    def forward(self, x: Tensor) -> Tensor:
        """A float tensor -> the same shape, on the grid."""
        low, dtype = (-128, torch.int8) if self.signed else (0, torch.uint8)
        grid = (self.scale, self.zero_point + low, low, low + 255, dtype)
        rounded: Tensor = _OPS.dequantize_per_tensor(_OPS.quantize_per_tensor(x, *grid), *grid)
        return rounded


class Integers(nn.Module):
    """Weights of 8 bits with a scale for each channel; stands where their quantiser stood.

    The integers are those of the deployed model.

    Args:
        weight: as floats (K, ...).
        quantiser: of the weights.
        signed: round them in the graph, from floats that are on the grid already. Converters that
            look for both halves of a rounding (LiteRT's) find it then.
    """

    weight: Tensor  # int8, or float32 if ``signed``
    scale: Tensor  # (K,) float32, or float64 if ``signed``
    zero_point: Tensor  # (K,) of zeros, int8, or int64 if ``signed``

    def __init__(self, weight: Tensor, quantiser: Any, *, signed: bool) -> None:
        super().__init__()
        scale = quantiser.scale.detach()
        scale = scale.expand(len(weight)).clone() if len(scale) == 1 else scale
        zero_point = torch.zeros_like(scale, dtype=torch.int64)
        exact = torch.quantize_per_channel(weight.detach(), scale, zero_point, 0, torch.qint8)
        integers = exact.int_repr()
        if quantiser.quant_max < 63:  # simulated: no kernel has so few bits, nor saturates there
            integers = integers.clamp(quantiser.quant_min, quantiser.quant_max)
        self.rounds = signed
        if signed:
            shape = (-1, *[1] * (weight.ndim - 1))
            self.register_buffer("weight", integers.float() * scale.float().view(shape))
            self.register_buffer("scale", scale.double())
            self.register_buffer("zero_point", zero_point)
        else:
            self.register_buffer("weight", integers)
            self.register_buffer("scale", scale.float())
            self.register_buffer("zero_point", zero_point.to(torch.int8))

    def forward(self, weight: None) -> Tensor:
        """The weights as floats (K, ...); the argument is where the layer's own were."""
        del weight
        grid = (self.scale, self.zero_point, 0, -128, 127, torch.int8)
        integers = _OPS.quantize_per_channel(self.weight, *grid) if self.rounds else self.weight
        floats: Tensor = _OPS.dequantize_per_channel(integers, *grid)
        return floats


def is_quantised(module: nn.Module) -> bool:
    """Whether a module is a fake-quantised shadow."""
    return any(isinstance(part, FakeQuantize) for part in module.modules())


def explicit(shadow: nn.Module, *, signed: bool = False) -> fx.GraphModule:
    """Return a copy of a shadow that computes with the deployed model's integers in plain sight.

    Args:
        shadow: from ``compd.compress.int8``, with frozen ranges; not changed.
        signed: activations as int8, and weights rounded in the graph, as LiteRT wants both.

    Returns:
        A CPU module: float pixels in 0..1 to float logits, with operators of
        ``quantized_decomposed`` in between.

    Raises:
        CompdError: if the module is not fake-quantised.
    """
    if not isinstance(shadow, fx.GraphModule) or not is_quantised(shadow):
        raise ModelError(
            f"expected a fake-quantised shadow, got {type(shadow).__name__}; make one with "
            f"{setting('compress', 'qat')} or ptq"
        )
    graph: fx.GraphModule = copy.deepcopy(shadow)
    graph.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for layer in list(graph.modules()):
        for name, child in list(layer._modules.items()):  # one quantiser may stand at two places
            if not isinstance(child, FakeQuantize):
                continue
            if isinstance(layer, FakePReLU):  # a float layer with slopes that are on the grid
                slopes = child(layer.weight).detach()
                del layer.weight_fake_quant
                layer.__class__ = nn.PReLU  # type: ignore[assignment]
                layer.weight = nn.Parameter(slopes)
            elif name == "weight_fake_quant":
                weight: Any = layer.weight
                setattr(layer, name, Integers(weight, child, signed=signed))
                layer.register_parameter("weight", None)
            else:
                setattr(layer, name, Rounding(child, signed=signed))
    return graph
