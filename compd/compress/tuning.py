"""How a quantised shadow may be trained further: ranges follow weights, or are learnt."""

from __future__ import annotations

from torch import nn

from compd.compress.base import Tuning
from compd.compress.int8 import freeze_ranges_
from compd.compress.scales import learn_scales_, settle_scales_

__all__ = ["QUANTISED", "QUANTISED_AND_SCALES"]


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


QUANTISED = Tuning(prepare_=_follow_weights_, finish_=freeze_ranges_)
QUANTISED_AND_SCALES = Tuning(prepare_=_follow_and_learn_, finish_=_settle_and_freeze_)
