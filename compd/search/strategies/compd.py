"""COMPD's search (Li et al., ACML 2023, Algorithms 1 and 2), batched over seeds.

Raw-gradient ascent on ``o[y] - s[y]``, the difference of both models' confidence (logits, as
published) in the original's label ``y`` *for the seed*, and optionally on one neuron that the
original activates and the shadow does not. The published implementation steps in normalised space
and means to clip each step per channel; here that clip works.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.errors import ModelError, SettingError, unknown
from compd.models.inputs import steady
from compd.search.coverage import draw_neurons, instrument_pair
from compd.search.strategies.base import Proposal, Search, Task
from compd.wording import setting

__all__ = ["Compd", "search_compd"]

# Variances of CIFAR-10's channels, which the published code clips each step to.
_CLIP = (0.0608027, 0.05892733, 0.06850188)
COVERAGES = ("none", "neuron")


@dataclass(frozen=True)
class Compd:
    """Settings of COMPD's search; the defaults are the published ones."""

    steps: int = 10  # p in Algorithm 1
    step_size: float = 0.9  # in normalised space
    clip: bool = True  # each step, to the variances of CIFAR-10; published: meant, but a no-op
    drift: bool = False  # published: the loss follows the original's label from step to step
    coverage: str = "none"  # or "neuron": Algorithm 2
    coverage_weight: float = 20.0  # lambda

    def __post_init__(self) -> None:
        if self.coverage not in COVERAGES:
            raise unknown("coverage", self.coverage, COVERAGES)
        if self.steps < 1 or not self.step_size > 0:
            raise SettingError(
                "steps >= 1 and step_size > 0", steps=self.steps, step_size=self.step_size
            )


def search_compd(config: Compd, task: Task) -> Search:
    """Propose each seed's iterate after each of the steps, as the paper saves them all."""
    pair = task.pair
    channels = task.images.shape[1]
    std = torch.tensor(pair.std).view(1, -1, 1, 1)
    clip = torch.tensor(_CLIP if channels == 3 else [sum(_CLIP) / 3] * channels).view(1, -1, 1, 1)
    labels = task.labels.to(pair.device)[:, None]
    everyone = torch.arange(len(task.images))
    neurons = None
    if config.coverage == "neuron":
        try:
            both = instrument_pair(pair)
        except ModelError as error:
            raise ModelError(f"{error.message.raw}; use {setting('coverage', 'none')}") from error
        neurons = [steady(model) for model in both]
    current = task.images  # (N, C, H, W) uint8
    rest = torch.zeros(task.images.shape)  # what of the last steps the lattice could not hold
    for step in range(config.steps):

        def objective(x: Tensor, rows: Tensor, step: int = step) -> Tensor:
            own = labels[rows]
            if neurons is None:
                original, shadow = task.original(x), task.shadow(x)
                if config.drift:
                    own = original.detach().argmax(1, keepdim=True)
                gap: Tensor = (original.gather(1, own) - shadow.gather(1, own))[:, 0]
                return gap
            original, before_original = neurons[0](x)
            shadow, before_shadow = neurons[1](x)
            if config.drift:
                own = original.detach().argmax(1, keepdim=True)
            neuron = draw_neurons(before_original, before_shadow, task.draws(step, rows))
            gap = (original.gather(1, own) - shadow.gather(1, own))[:, 0]
            return gap + config.coverage_weight * neuron

        gradient = task.gradient(current, objective)
        # d/d(normalised) = std * d/d(pixel); one normalised unit is std pixels of 0..1
        move = config.step_size * std * gradient
        move = (move.clamp(-clip, clip) if config.clip else move) * std * 255
        exact = task.bound.nearest(current + rest + move, task.images)
        current = task.clip(exact)
        rest = exact - current
        task.share = (step + 1) / config.steps
        yield Proposal(current, everyone)
