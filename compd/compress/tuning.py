"""What a shadow of each kind asks of whoever trains it further: ranges, masks, frozen BatchNorm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

import torch
from torch import Tensor, nn

from compd.compress.configs import COMPRESSIONS, Compression, Prune, Ptq, Qat
from compd.compress.int8 import freeze_ranges_
from compd.compress.scales import learn_scales_, settle_scales_
from compd.errors import unknown

__all__ = ["Tuning", "tuning_of"]


def _nothing(shadow: nn.Module) -> None:
    del shadow


@dataclass(frozen=True)
class Tuning:
    """How to train a shadow further; each part changes the shadow in place."""

    prepare_: Callable[[nn.Module], None] = _nothing  # before the first step
    after_step_: Callable[[nn.Module], None] = _nothing
    finish_: Callable[[nn.Module], None] = _nothing  # then it can be deployed
    # Whether to go no further than needed: what a pruned network learns near the boundary it pays
    # for elsewhere, which rows that the original was trained on do not show.
    sparing: bool = False


@singledispatch
def tuning_of(config: Compression, shadow: nn.Module, *, scales: bool = False) -> Tuning:
    """How a shadow may be trained further without ceasing to be what its compression made of it.

    The shadow is trained in eval mode: BatchNorm keeps its statistics (two batches of different
    images would pull them to and fro), and only its scale and shift are trained, where no
    convolution has taken them in.

    Args:
        config: what the shadow was made with.
        scales: whether to learn the scales of activations, too. Only quantisation-aware training
            keeps ranges that can be set to what was learnt; elsewhere they stay.
        shadow: the shadow that its compression made; its zeros are a pruned one's mask.
    """
    raise unknown("compress", type(config).__name__, COMPRESSIONS)


@tuning_of.register
def _(config: Qat, shadow: nn.Module, *, scales: bool = False) -> Tuning:
    return _QUANTISED_AND_SCALES if scales else _QUANTISED


@tuning_of.register
def _(config: Ptq, shadow: nn.Module, *, scales: bool = False) -> Tuning:
    return _QUANTISED


@tuning_of.register
def _(config: Prune, shadow: nn.Module, *, scales: bool = False) -> Tuning:
    masks: dict[str, Tensor] = {
        f"{name}.weight": module.weight.detach() != 0
        for name, module in shadow.named_modules()
        if isinstance(module, nn.Conv2d)
    }

    def hold_(model: nn.Module) -> None:
        with torch.no_grad():
            for name, mask in masks.items():
                model.get_parameter(name).mul_(mask)

    return Tuning(after_step_=hold_, sparing=True)


def _follow_weights_(shadow: nn.Module) -> None:
    """Let the scale of each output channel follow its weights; activation ranges stay."""
    for module in shadow.modules():
        quantiser = getattr(module, "weight_fake_quant", None)
        if quantiser is not None:
            quantiser.enable_observer()


def _follow_and_learn_(shadow: nn.Module) -> None:
    _follow_weights_(shadow)
    learn_scales_(shadow)


def _settle_and_freeze_(shadow: nn.Module) -> None:
    settle_scales_(shadow)
    freeze_ranges_(shadow)


_QUANTISED = Tuning(prepare_=_follow_weights_, finish_=freeze_ranges_)
_QUANTISED_AND_SCALES = Tuning(prepare_=_follow_and_learn_, finish_=_settle_and_freeze_)
