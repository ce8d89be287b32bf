"""Post-training quantisation: per-channel symmetric weights, histogram activation ranges."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compd.compress.base import Family, Tuning, check_bits
from compd.compress.int8 import calibrated, new_shadow
from compd.compress.starts import quantised_starts
from compd.compress.tuning import QUANTISED
from compd.control import QUIET, Control
from compd.data import Splits
from compd.models.inputs import to_input

__all__ = ["PTQ", "Ptq"]

_FEWEST = 7  # bits of weights that int8 kernels are made for; fewer are simulated


@dataclass(frozen=True)
class Ptq:
    """Settings of post-training quantisation."""

    weight_bits: int = 8
    activation_bits: int = 7

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, self.activation_bits, fewest=4)


def _make(
    config: Ptq,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> nn.Module:
    del checkpoint  # seconds of work
    images = splits.calibration.images
    control.report("calibrating", 0, len(images))
    shadow = calibrated(_empty(config, original, to_input(images[:1])), images)
    control.report("calibrating", len(images), len(images))
    return shadow.to(device)


def _empty(config: Ptq, original: nn.Module, example: Tensor) -> nn.Module:
    return new_shadow(
        original,
        example=example,
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
        histogram=True,
    )


def _tuning(config: Ptq, shadow: nn.Module, scales: bool) -> Tuning:
    return QUANTISED


PTQ = Family(
    Ptq,
    _make,
    _empty,
    uses=("calibration",),
    tuning=_tuning,
    starts=quantised_starts(_empty),
    int8=lambda config: config.weight_bits >= _FEWEST,
    engine=lambda config: f"simulated-w{config.weight_bits}",
)
