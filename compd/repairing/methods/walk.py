"""Distillation where it matters: on images at the decision boundary, where both models part.

The search goes to where both models are undecided and widens the gap there. So the images to train
on are made in the same way, in a few gradients each: one step to the boundary, then steps that keep
to it and widen the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from compd.errors import SettingError
from compd.logits import divergences, logit_margins
from compd.repairing.methods.base import Bench, Schedule, lattice
from compd.search.geometry import along, parting, per_image

__all__ = ["Walk", "walk_loss"]

Value = TypeVar("Value", float, Tensor)


_RATE = 5e-4
# Of a sparing repair, in a round of so many steps and more, and in proportion in shorter ones. A
# pruned network is far from its original; only fast steps come near it, and many to calm down.
_FAST_RATE, _FAST_STEPS = 1e-2, 3500

_LONG = 200  # steps; in rounds as long as that, other shares of a batch:
_LONG_SHARES: dict[str, Any] = {"stored": 0.05, "clean": 0.2, "mixed": 0.65}


@dataclass(frozen=True)
class Walk(Schedule):
    """KL to the original's full output, on clean, mixed, stored and walked images."""

    clean: float = 0.35
    mixed: float = 0.3  # share of a batch that is blends of two training images
    scales: bool = True
    restart: bool = True
    walk: int = 3  # gradients an image
    levels: float = 1.5  # of 255, by which a step widens the gap
    cap: float = 1.0  # nats; an image's divergence counts as less the more it exceeds this
    eps: int | None = None  # levels of 255; None for the bound of the searches

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mixed < 0 or self.stored + self.clean + self.mixed > 1 + 1e-9:
            raise SettingError(
                "stored, clean and mixed to be shares of a batch",
                stored=self.stored,
                clean=self.clean,
                mixed=self.mixed,
            )

    def in_round(self, steps: int) -> Schedule:
        """In a long round blends take the place of others, unless shares are set.

        They tell most of the original for what they cost: a walked image takes three gradients of
        both models first. In a short one walked images bring more, on which the models part most.
        """
        own = any(getattr(self, name) != getattr(Walk, name) for name in _LONG_SHARES)
        return self if own or steps < _LONG else replace(self, **_LONG_SHARES)

    def peak(self, steps: int, *, sparing: bool) -> float:
        """Peak learning rate: 0.0005; up to 0.01 in a long round of a sparing repair."""
        if self.lr is not None:
            return self.lr
        return max(_RATE, _FAST_RATE * min(1.0, steps / _FAST_STEPS)) if sparing else _RATE

    def hopeless(self, classes: int) -> float:
        """As everywhere, but capped."""
        return _capped(super().hopeless(classes), self.cap)


def walk_loss(config: Walk, bench: Bench, draw: torch.Generator) -> Tensor:
    """Mean capped divergence over clean, mixed, stored and walked images of one batch."""
    stored = bench.deviations(int(config.stored * config.batch), draw)
    clean = bench.clean(int(config.clean * config.batch), draw)
    mixed = bench.mixed(int(config.mixed * config.batch), draw)
    start = bench.clean(max(0, config.batch - len(stored) - len(clean) - len(mixed)), draw)
    walked = walk(config, bench, start) if len(start) else start
    x = torch.cat([clean, mixed, stored, walked])
    # Where a pruned network cannot follow at all, it should not give up what it can.
    return _capped(divergences(bench.shadow(x), bench.answers(x)), config.cap).mean()


def walk(config: Walk, bench: Bench, start: Tensor) -> Tensor:
    """Take images to the boundary and part the models there.

    With ``o`` and ``d`` for the logit margin of the original's label in both models, each step goes
    to where ``o + d`` is 0 (as far as a linear model tells, along the sign of its gradient), and
    along the difference of both unit gradients as far as that leaves ``o + d`` alone.

    Args:
        config: of the walk.
        bench: the models.
        start: float pixels (N, C, H, W) to start from.

    Returns:
        Float pixels (N, C, H, W) on the 8-bit lattice within ``eps`` of ``start``.
    """
    labels = bench.answers(start).argmax(1)
    x, eps = start, config.eps or bench.eps
    for _ in range(config.walk):
        original, o = _slope(bench, bench.original, x, labels)
        shadow, d = _slope(bench, bench.shadow, x, labels)
        total = original + shadow
        slope = total.abs().flatten(1).sum(1).clamp_min(1e-9)
        to_boundary = ((o + d) / slope).clamp(-eps / 255, eps / 255)
        apart = along(parting(original, shadow), total)
        step = apart.sign() * config.levels / 255 - per_image(to_boundary, x) * total.sign()
        x = lattice(x + step, start, eps)
    return x


def _slope(bench: Bench, model: nn.Module, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient (N, C, H, W) of a model's logit margin of labels, and the margin (N,)."""
    known: list[Tensor] = []

    def margin(x: Tensor) -> Tensor:
        margins = logit_margins(model(x), labels)
        known.append(margins.detach())
        return margins

    return bench.gradient(margin, x), known[0]


def _capped(divergence: Value, cap: float) -> Value:
    return divergence / (1 + divergence / cap)
