"""Distillation on images that DIVA pushes apart while the shadow is trained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.logits import divergence
from compd.repairing.methods.base import Bench, Schedule, lattice

__all__ = ["Distil", "distil_loss"]


@dataclass(frozen=True)
class Distil(Schedule):
    """KL to the original's full output; the pushed images take steps of DIVA."""

    lr: float = 1e-3
    optimiser: str = "sgd"
    stored: float = 0.1
    clean: float = 0.3
    pushes: int = 2
    push_levels: int = 4  # of 255, a push
    eps: int | None = None  # levels of 255; None for the bound of the searches


def distil_loss(config: Distil, bench: Bench, draw: torch.Generator) -> Tensor:
    """Mean divergence over clean, stored and pushed images of one batch."""
    stored = bench.deviations(int(config.stored * config.batch), draw)
    clean = bench.clean(int(config.clean * config.batch), draw)
    start = bench.clean(config.batch - len(stored) - len(clean), draw)
    label = bench.answers(start).argmax(1, keepdim=True)

    def parting(x: Tensor) -> Tensor:
        original, shadow = bench.original(x).softmax(1), bench.shadow(x).softmax(1)
        gap: Tensor = (original - shadow).gather(1, label)
        return gap

    pushed, eps = start, config.eps or bench.eps
    for _ in range(config.pushes if len(start) else 0):
        step = bench.gradient(parting, pushed).sign() * config.push_levels / 255
        pushed = lattice(pushed + step, start, eps)
    x = torch.cat([clean, stored, pushed])
    return divergence(bench.shadow(x), bench.answers(x))
