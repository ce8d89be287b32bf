"""How many activations leave the ranges that an int8 model was calibrated for, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.models.inputs import predict, to_input

__all__ = ["Clipped", "clipped_shares"]

_LEVELS = 255  # kernels saturate at the ends of 8 bits, whatever range calibration was told to use


@dataclass(frozen=True)
class Clipped:
    """The values at one quantiser that its int8 kernel cannot hold."""

    layer: str  # whose result it is
    share: float  # of all values there, 0..1
    above: float  # the same, of those beyond the top of the range alone


def clipped_shares(
    shadow: nn.Module, images: Tensor, *, simulated: bool = False
) -> tuple[Clipped, ...]:
    """Run images through a shadow, and count what saturates at each of its quantisers.

    Args:
        shadow: fake-quantised, with frozen ranges; not changed.
        images: uint8 (N, C, H, W), N at least 1.
        simulated: the shadow itself is deployed, and saturates where its own range ends.

    Returns:
        One for each quantiser of activations, the largest share first; none if there is no
        quantiser.
    """
    counts: dict[str, list[int]] = {}
    layers = _layers(shadow)
    device = next((value.device for value in shadow.state_dict().values()), torch.device("cpu"))
    hooks = [
        module.register_forward_hook(
            _counting(counts.setdefault(layers.get(name, name), [0, 0, 0]), simulated)
        )
        for name, module in shadow.named_modules()
        if isinstance(module, FakeQuantize) and not name.endswith("weight_fake_quant")
    ]
    if not hooks:
        return ()
    try:
        with torch.no_grad():
            predict(lambda batch: shadow(to_input(batch, device)), images)
    finally:
        for hook in hooks:
            hook.remove()
    found = [Clipped(name, out / of, top / of) for name, (out, top, of) in counts.items() if of]
    return tuple(sorted(found, key=lambda one: (-one.share, one.layer)))


def _layers(shadow: nn.Module) -> dict[str, str]:
    """Quantiser -> the layer or operation whose result it rounds first, as the model names it."""
    found: dict[str, str] = {}
    if not isinstance(shadow, fx.GraphModule):
        return found
    for node in shadow.graph.nodes:
        if node.op == "call_module" and node.all_input_nodes:
            source = node.all_input_nodes[0]
            name = str(source.target) if source.op == "call_module" else source.name
            found.setdefault(str(node.target), name)
    return found


def _counting(count: list[int], simulated: bool) -> Callable[[nn.Module, Any, Any], Tensor]:
    """Count what saturates, and hand on what the kernel would: its 8 bits, not the shadow's 7."""

    def hook(module: nn.Module, given: Any, made: Any) -> Tensor:
        del made
        quantiser: Any = module
        level = (given[0] / quantiser.scale).round() + quantiser.zero_point
        top = quantiser.activation_post_process.quant_max if simulated else _LEVELS
        held = level.clamp(0, top)
        count[0] += int((level != held).sum())
        count[1] += int((level > top).sum())
        count[2] += level.numel()
        kept: Tensor = (held - quantiser.zero_point) * quantiser.scale
        return kept

    return hook
