"""Somebody else's package: a strategy, a compression and a runtime for compd."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compd.compress import Family
from compd.runtimes import InputFormat, Opened, Opener, Overrides
from compd.runtimes.openers import sha256_of
from compd.search.strategies import Proposal, Search, Strategy, Task
from compd.sizes import Size


@dataclass(frozen=True)
class Noise:
    """Uniform noise, some times."""

    steps: int = 5
    levels: int = 24  # of 255, either way


def search_noise(config: Noise, task: Task) -> Search:
    """Propose each seed with noise of its own."""
    everyone = torch.arange(len(task.images))
    for step in range(config.steps):
        shape, most = task.images.shape[1:], config.levels
        noise = np.stack([draw.integers(-most, most + 1, shape) for draw in task.draws(step)])
        task.share = (step + 1) / config.steps
        yield Proposal(task.images.short() + torch.from_numpy(noise).short(), everyone)


NOISE = Strategy(Noise, search_noise, gradients=False)


@dataclass(frozen=True)
class Rounded:
    """Weights rounded to a grid of some bits; nothing is trained."""

    bits: int = 4


def _make(config: Rounded, original: nn.Module, splits: object, **how: Any) -> nn.Module:
    shadow = copy.deepcopy(original).to(how["device"]).eval()
    with torch.no_grad():
        for weight in shadow.parameters():
            step = weight.abs().max() / (2 ** (config.bits - 1) - 1)
            weight.copy_((weight / step).round() * step)
    return shadow


def _empty(config: Rounded, original: nn.Module, example: Tensor) -> nn.Module:
    return copy.deepcopy(original).cpu().eval()


ROUNDED = Family(Rounded, _make, _empty, engine=lambda config: f"rounded-w{config.bits}")


def open_mine(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Open a linear classifier: ``weight`` (K, C * H * W) and ``shape`` (C, H, W) in an .npz."""
    del overrides, size, optimise
    with np.load(path) as content:
        weight, (channels, height, width) = content["weight"], content["shape"].tolist()

    def call(x: NDArray[Any]) -> NDArray[Any]:
        answer: NDArray[Any] = x.reshape(len(x), -1) @ weight.T
        return answer

    return Opened(
        engine="mine-cpu",
        format=InputFormat(channels, height, width, len(weight)),
        call=call,
        content_hash=sha256_of(path),
        facts={"mine": "0.0.1"},
        census={str(weight.dtype): {"MatMul": 1}},
        can_be_plain=False,
    )


OPENER = Opener(open_mine)
