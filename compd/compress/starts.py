"""Where a repair may start from: the shadow as it is, or one that rounding hurts less.

**The eighth bit for activations.** An AVX2 kernel adds two products of an activation and a weight
in 16 bits. It cannot overflow with activations of 7 bits and weights of 8 (2 x 127 x 128 = 32,512),
which is PyTorch's default, nor with 8 and 8 where no two neighbours are too large (``neighbours``).
A weight is rounded once, and training makes up for it, but an activation is rounded anew in each
image; and the image itself need not be rounded (``pixels``).

**The original's own weights, calibrated anew.** Quantisation-aware training on labels leads away
from the original. Where rounding to 8 bits costs little, these weights are nearer to it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.compress.int8 import calibrated, freeze_ranges_
from compd.compress.pixels import given_state, normalised
from compd.models.factory import trace
from compd.models.inputs import to_input

__all__ = ["quantised_starts"]


def quantised_starts(
    empty: Callable[[Any, nn.Module, Tensor], nn.Module],
) -> Callable[..., Iterator[tuple[Any, nn.Module]]]:
    """Make the ``starts`` of a compression to integers.

    Args:
        empty: makes its shadows, uncalibrated.
    """

    def starts(
        config: Any, shadow: nn.Module, original: nn.Module, images: Tensor
    ) -> Iterator[tuple[Any, nn.Module]]:
        finer, example = config, to_input(images[:1])
        if (config.weight_bits, config.activation_bits) == (8, 7):
            finer = replace(config, weight_bits=8, activation_bits=8)
            moved = empty(finer, original, example)
            assert isinstance(moved, fx.GraphModule)
            if _take_over_(moved, shadow, original):
                freeze_ranges_(moved)
                yield finer, moved
        yield finer, calibrated(empty(finer, original, example), images)

    return starts


def _take_over_(moved: fx.GraphModule, shadow: nn.Module, original: nn.Module) -> bool:
    """Give a shadow the weights and ranges of one with fewer levels; False if they do not fit."""
    assert isinstance(shadow, fx.GraphModule)
    found = normalised(trace(copy.deepcopy(original).cpu(), "model"))
    own, old = moved.state_dict(), {k: v.cpu() for k, v in shadow.state_dict().items()}
    given = given_state(moved)
    if found is not None:  # it has taken in what the normalisation adds
        bias = f"{found.convolution}.bias"
        old.setdefault(bias, torch.zeros_like(own[bias]))
    # Quantisers are numbered, and a normalisation had some that are not there any more.
    places = dict(zip(_quantisers(moved)[::-1], _quantisers(shadow)[::-1], strict=False))
    state = {}
    for key, value in own.items():
        name, dot, rest = key.partition(".")
        before = f"{places.get(name, name)}{dot}{rest}"
        if key not in given and before not in old:
            return False
        state[key] = value if key in given else old[before]
    moved.load_state_dict(state)
    if found is not None:
        convolution = moved.get_submodule(found.convolution)
        assert isinstance(convolution, nn.Conv2d)
        found.take_in_(convolution)
    for module in moved.modules():
        quantiser: Any = getattr(module, "weight_fake_quant", None)
        if quantiser is not None:  # on the new grid
            quantiser.activation_post_process(module.weight)
    return True


def _quantisers(shadow: fx.GraphModule) -> list[str]:
    """The names of the activation quantisers in the order of the graph."""
    calls = [str(node.target) for node in shadow.graph.nodes if node.op == "call_module"]
    return [name for name in calls if isinstance(shadow.get_submodule(name), FakeQuantize)]
