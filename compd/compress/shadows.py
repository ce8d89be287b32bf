"""From an original and a configuration to a shadow.

``make_shadow`` does the work; ``empty_shadow`` gives the module that a saved shadow loads into.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import singledispatch
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from compd.compress.configs import COMPRESSIONS, Compression, Prune, Ptq, Qat
from compd.compress.int8 import calibrate_, freeze_ranges_, new_shadow, simulate_
from compd.data import Splits
from compd.errors import ModelError, unknown
from compd.models.inputs import to_input
from compd.progress import Progress, Report, silent
from compd.training import TrainConfig, fit_

__all__ = ["RECIPE", "calibrated_shadow", "empty_shadow", "make_shadow"]

# Raised when the same configuration makes another shadow than before: caches hold none of the old.
RECIPE = 3


@singledispatch
def make_shadow(
    config: Compression,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    """Compress an original to its shadow.

    Args:
        config: what to do; one of :data:`~compd.compress.configs.COMPRESSIONS`.
        original: float pixels in 0..1 to logits; not changed.
        splits: training rows train, calibration rows set ranges, selection rows are watched.
        device: where to fine-tune.
        checkpoint: where an interrupted fine-tuning leaves its state.
        report: told of progress.

    Returns:
        A differentiable module on ``device`` in eval mode.
    """
    raise unknown("compress", type(config).__name__, COMPRESSIONS)


@make_shadow.register
def _(
    config: Qat,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    shadow = empty_shadow(config, original, _example(splits)).to(device)
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
        _fine_tuning(config, splits),
        stage="quantisation-aware training",
        device=device,
        train_mode=train_mode,
        before_step=before_step,
        checkpoint=checkpoint,
        report=report,
    )
    freeze_ranges_(shadow)
    return shadow.eval()


@make_shadow.register
def _(
    config: Ptq,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    del checkpoint  # seconds of work
    images = splits.calibration.images
    report(Progress("calibrating", 0, len(images)))
    shadow = calibrated_shadow(config, original, images)
    report(Progress("calibrating", len(images), len(images)))
    return shadow.to(device)


@make_shadow.register
def _(
    config: Prune,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    report: Report = silent,
) -> nn.Module:
    # torch's pruning flattens weights, which channels-last ones refuse
    shadow: nn.Module = copy.deepcopy(original)
    shadow = shadow.to(device=device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    convolutions = [m for m in shadow.modules() if isinstance(m, nn.Conv2d)]
    if not convolutions:
        raise ModelError("expected convolutions to prune, got a model without nn.Conv2d")
    for convolution in convolutions:
        prune.l1_unstructured(convolution, "weight", amount=config.amount)  # type: ignore[no-untyped-call]
    fit_(
        shadow,
        splits.train,
        splits.selection,
        replace(_fine_tuning(config, splits), bfloat16=device.type != "cpu"),
        stage=f"fine-tuning after pruning {config.amount:.0%}",
        device=device,
        checkpoint=checkpoint,
        report=report,
    )
    for convolution in convolutions:
        prune.remove(convolution, "weight")  # type: ignore[no-untyped-call]
    return shadow.eval()


def calibrated_shadow(config: Qat | Ptq, original: nn.Module, images: Tensor) -> nn.Module:
    """The original on the integer grid of a configuration, calibrated and not trained.

    Args:
        config: bits and observers.
        original: float pixels in 0..1 to logits; not changed.
        images: uint8 (N, C, H, W) to set ranges with.

    Returns:
        A shadow with frozen ranges, on the CPU, in eval mode.
    """
    shadow = empty_shadow(config, original, to_input(images[:1]))
    calibrate_(shadow, images)
    freeze_ranges_(shadow)
    return shadow.eval()


@singledispatch
def empty_shadow(config: Compression, original: nn.Module, example: Tensor) -> nn.Module:
    """The module whose ``state_dict`` a saved shadow has, on the CPU, in eval mode.

    Args:
        config: what the shadow was made with.
        original: the original it was made from; not changed.
        example: float pixels (N, C, H, W) of the right shape.
    """
    raise unknown("compress", type(config).__name__, COMPRESSIONS)


@empty_shadow.register
def _(config: Qat, original: nn.Module, example: Tensor) -> nn.Module:
    return new_shadow(
        original,
        example=example,
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
    )


@empty_shadow.register
def _(config: Ptq, original: nn.Module, example: Tensor) -> nn.Module:
    return new_shadow(
        original,
        example=example,
        weight_bits=config.weight_bits,
        activation_bits=config.activation_bits,
        histogram=True,
    )


@empty_shadow.register
def _(config: Prune, original: nn.Module, example: Tensor) -> nn.Module:
    return copy.deepcopy(original).cpu().eval()


def _fine_tuning(config: Qat | Prune, splits: Splits) -> TrainConfig:
    return TrainConfig(
        epochs=config.epochs,
        batch=config.batch,
        lr=config.lr,
        warmup=0.1,
        seed=config.seed,
        weight_decay=1e-4,
        mirror=splits.dataset.mirror,
        pad=splits.dataset.size // 16,
    )


def _example(splits: Splits) -> Tensor:
    dataset = splits.dataset
    return torch.zeros(1, dataset.channels, dataset.size, dataset.size)
