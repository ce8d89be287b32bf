"""Quantisation-aware training: int8 weights and activations, BatchNorm folded and frozen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from compd.compress.base import Family, Tuning, check_bits, check_fine_tuning, fine_tuning
from compd.compress.int8 import calibrate_, freeze_ranges_, new_shadow, simulate_
from compd.compress.starts import quantised_starts
from compd.compress.tuning import QUANTISED, QUANTISED_AND_SCALES
from compd.control import QUIET, Control
from compd.data import Splits
from compd.training import fit_

__all__ = ["QAT", "Qat"]


@dataclass(frozen=True)
class Qat:
    """Settings of quantisation-aware training."""

    epochs: int = 1
    lr: float = 1e-4
    batch: int = 64
    weight_bits: int = 8
    activation_bits: int = 7  # PyTorch's default for x86: no AVX2 kernel saturates
    seed: int = 0

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, self.activation_bits, fewest=7)
        check_fine_tuning(self.epochs, self.lr, self.batch)


def _make(
    config: Qat,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> nn.Module:
    dataset = splits.dataset
    example = torch.zeros(1, dataset.channels, *dataset.size)
    shadow = _empty(config, original, example).to(device)
    calibrate_(shadow, splits.calibration.images)
    simulate_(shadow)

    def before_step(step: int, total: int) -> None:
        # The last quarter trains against the ranges that will be shipped.
        if step == total - total // 4:
            freeze_ranges_(shadow)

    def train_mode(model: nn.Module) -> None:
        # BatchNorm that no convolution could take in (DenseNet) keeps its statistics.
        for module in model.train().modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    fit_(
        shadow,
        splits.train,
        splits.selection,
        fine_tuning(config, splits),
        stage="quantisation-aware training",
        device=device,
        train_mode=train_mode,
        before_step=before_step,
        checkpoint=checkpoint,
        control=control,
    )
    freeze_ranges_(shadow)
    return shadow.eval()


def _empty(config: Qat, original: nn.Module, example: Tensor) -> nn.Module:
    return new_shadow(
        original,
        example=example,
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
    )


def _tuning(config: Qat, shadow: nn.Module, scales: bool) -> Tuning:
    """Only these ranges are a minimum and a maximum, which can be set to what was learnt."""
    return QUANTISED_AND_SCALES if scales else QUANTISED


QAT = Family(
    Qat,
    _make,
    _empty,
    uses=("train", "calibration", "selection"),
    tuning=_tuning,
    starts=quantised_starts(_empty),
    int8=lambda config: True,
)
