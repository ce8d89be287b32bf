"""L1-unstructured pruning of each convolution, then fine-tuning with the mask held."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from compd.compress.base import Family, Tuning, check_fine_tuning, fine_tuning, unfrozen_
from compd.control import QUIET, Control
from compd.data import Splits
from compd.errors import ModelError, SettingError
from compd.training import fit_

__all__ = ["PRUNE", "Prune"]


@dataclass(frozen=True)
class Prune:
    """Settings of pruning."""

    amount: float = 0.75
    epochs: int = 10
    lr: float = 0.05
    batch: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.amount < 1:
            raise SettingError("0 < amount < 1", amount=self.amount)
        check_fine_tuning(self.epochs, self.lr, self.batch)


def _make(
    config: Prune,
    original: nn.Module,
    splits: Splits,
    *,
    device: torch.device,
    checkpoint: Path | None = None,
    control: Control = QUIET,
) -> nn.Module:
    # torch's pruning flattens weights, which channels-last ones refuse
    shadow: nn.Module = copy.deepcopy(original)
    shadow = shadow.to(device=device, memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    unfrozen_(shadow)
    convolutions = [m for m in shadow.modules() if isinstance(m, nn.Conv2d)]
    if not convolutions:
        raise ModelError("expected convolutions to prune, got a model without nn.Conv2d")
    for convolution in convolutions:
        prune.l1_unstructured(convolution, "weight", amount=config.amount)  # type: ignore[no-untyped-call]
    fit_(
        shadow,
        splits.train,
        splits.selection,
        replace(fine_tuning(config, splits), bfloat16=device.type != "cpu"),
        stage=f"fine-tuning after pruning {config.amount:.0%}",
        device=device,
        checkpoint=checkpoint,
        control=control,
    )
    for convolution in convolutions:
        prune.remove(convolution, "weight")  # type: ignore[no-untyped-call]
    return shadow.eval()


def _empty(config: Prune, original: nn.Module, example: Tensor) -> nn.Module:
    return copy.deepcopy(original).cpu().eval()


def _tuning(config: Prune, shadow: nn.Module, scales: bool) -> Tuning:
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


PRUNE = Family(Prune, _make, _empty, uses=("train", "selection"), tuning=_tuning)
