"""The boundary walk: go to where the models are undecided, and part them there.

A deviation exists where the two decision boundaries part. Write ``o`` and ``d`` for the lead of the
seed's label over the best other class in the original's and in the deployed model's logits. Then
``o + d`` says how far an image is from the boundaries, and ``o - d``, the gap, how far these are
apart: where ``o + d`` is 0 and the gap is positive, the original keeps its label and the deployed
model has lost it, both by half the gap.

So each seed is first taken to where ``o + d`` is 0. From there, each step widens the gap along the
difference of both models' *unit* gradients: with gradients as they are, the steeper model would
drown the other, and with probabilities, as in DIVA, a model that is sure has none. Then it goes
back to 0 across the boundaries. Gradients are dear and forwards are cheap, so the way back is a
secant search on the leads of the real models, which their answers give anyway. And each trial
rounds its place to the lattice with another dither: the rounding errors inside an int8 model are
others for each, so that a trial is also a fresh draw of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from compd.errors import CompdError
from compd.fuzz.judge import Judgement, leads_of
from compd.fuzz.strategies.base import Proposal, Search, Task

__all__ = ["Boundary", "search_boundary"]

_GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, spread evenly however many there are
_TINY = 1e-12


@dataclass(frozen=True)
class Boundary:
    """Settings of the boundary walk."""

    steps: int = 24  # gradients a seed at most, until it deviates
    trials: int = 7  # candidates after each gradient, at most
    stride: float = 0.7  # levels by which a step widens the gap
    reach: float = 3.0  # levels from one trial to the next, at most
    patience: int = 8  # steps without coming nearer after which a seed is given up
    climbs: int = 8  # steps from a deviation towards severity (goal "severe")
    climb_trials: int = 3
    climb_stride: float = 1.0

    def __post_init__(self) -> None:
        counts = (self.steps, self.trials, self.patience, self.climbs, self.climb_trials)
        if min(counts) < 1:
            raise CompdError(
                f"expected steps, trials, patience, climbs and climb_trials >= 1, got {self}"
            )
        if not min(self.stride, self.reach, self.climb_stride) > 0:
            raise CompdError(f"expected stride, reach and climb_stride > 0, got {self}")


def search_boundary(config: Boundary, task: Task) -> Search:
    """Propose candidates on and around the boundaries until each seed has deviated.

    With goal "severe", then go on from the deviations.
    """
    walk = _Walk(config, task)
    active = torch.arange(len(task.images))
    for _ in range(config.steps):
        if not len(active):
            break
        yield from walk.step(active, trials=config.trials, stride=config.stride, enough=True)
        active = active[~(walk.found | walk.stuck | task.blind)[active]]
    if task.goal != "severe":
        return
    for _ in range(config.climbs):
        active = (walk.found & ~task.blind).nonzero()[:, 0]
        if not len(active):
            return
        yield from walk.step(
            active, trials=config.climb_trials, stride=config.climb_stride, enough=False
        )


class _Walk:
    """Where each seed of a task is, and how it goes on from there."""

    def __init__(self, config: Boundary, task: Task) -> None:
        count, size = len(task.images), task.images[0].numel()
        self._config, self._task = config, task
        self._place = task.images.flatten(1).float()  # (N, D) levels, between the lattice's points
        self._near = torch.zeros(count, dtype=torch.bool)  # whether the boundaries are at hand
        self._least = torch.full((count,), float("inf"))  # |o + d| at the best trial so far
        self._idle = torch.zeros(count, dtype=torch.int64)  # steps since it fell
        self._asked = torch.zeros(count, dtype=torch.int64)
        self._dither = torch.from_numpy(
            np.stack([draw.random(size, dtype=np.float32) for draw in task.draws(0)])
        )
        self.found = torch.zeros(count, dtype=torch.bool)
        self.stuck = torch.zeros(count, dtype=torch.bool)

    def step(
        self, seeds: Tensor, *, trials: int, stride: float, enough: bool
    ) -> Generator[Proposal, Judgement, None]:
        """One gradient for each seed, then a search for ``o + d = 0`` across the boundaries.

        Args:
            seeds: int64 (n,), positions in the task.
            trials: candidates a seed at most.
            stride: levels along which the gap is widened first, where the boundaries are at hand.
            enough: whether a seed needs no further trials after a deviation.
        """
        reach = self._config.reach
        across, fall, sums, apart = self._directions(seeds)
        near = self._near[seeds]
        base = self._inside(self._place[seeds] + stride * apart, seeds)  # (n, D)
        # Places are t levels across from base. Where base has not moved, o + d is known at t = 0.
        t = torch.where(near, 0.0, sums / fall).clamp(0, reach)  # (n,)
        before_t = torch.zeros_like(t)
        before = torch.where(near, float("nan"), sums)
        best_t, best = torch.zeros_like(t), torch.full_like(t, float("inf"))
        crossed = torch.zeros(len(seeds), dtype=torch.bool)
        done = torch.zeros(len(seeds), dtype=torch.bool)
        rows = torch.arange(len(seeds))
        for _ in range(trials):
            images = self._dithered(base[rows] + t[rows, None] * across[rows], seeds[rows])
            judgement = yield Proposal(images, seeds[rows])
            value = judgement.original_lead + judgement.deployed_lead  # o + d
            better = value.abs() < best[rows]
            best_t[rows] = torch.where(better, t[rows], best_t[rows])
            best[rows] = torch.where(better, value.abs(), best[rows])
            crossed[rows] |= value <= 0
            done[rows] |= judgement.effective
            secant = (before[rows] - value) / (t[rows] - before_t[rows])
            sane = (secant > 0.2 * fall[rows]) & (secant < 10 * fall[rows])  # not so for NaN
            fall[rows] = torch.where(sane, secant, fall[rows])
            before_t[rows], before[rows] = t[rows], value
            t[rows] += (value / fall[rows]).clamp(-reach, reach)
            if enough:
                rows = rows[~done[rows]]
                if not len(rows):
                    break
        self._place[seeds] = self._inside(base + best_t[:, None] * across, seeds)
        self._near[seeds] = crossed
        self.found[seeds] |= done
        nearer = crossed | (best < 0.98 * self._least[seeds])
        self._least[seeds] = torch.minimum(best, self._least[seeds])
        self._idle[seeds] = torch.where(nearer, 0, self._idle[seeds] + 1)
        self.stuck[seeds] = self._idle[seeds] >= self._config.patience

    def _directions(self, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Which way to go from where the seeds are.

        Returns:
            The direction that lowers ``o + d`` (n, D); by how much a level of it does (n,);
            ``o + d`` (n,); the direction that widens the gap (n, D), zero far from the boundaries.
        """
        task = self._task
        images = task.clip(self._place[seeds].view(-1, *task.images.shape[1:]), seeds)
        near = self._near[seeds]
        slope = torch.zeros(len(seeds), images[0].numel())  # of o + d, halved
        sums = torch.zeros(len(seeds))
        apart = torch.zeros_like(slope)
        far, close = (~near).nonzero()[:, 0], near.nonzero()[:, 0]
        if len(far):  # the shadow alone shows the way to both boundaries at half the cost
            slope[far], lead = self._gradient(task.shadow, images[far], seeds[far])
            sums[far] = 2 * lead
        if len(close):
            original, lead = self._gradient(task.original, images[close], seeds[close])
            shadow, other = self._gradient(task.shadow, images[close], seeds[close], count=0)
            slope[close], sums[close] = original, lead + other
            apart[close] = self._heading(_unit(original) - _unit(shadow))
        across = -self._heading(slope)
        fall = -2 * (slope * across).sum(1).clamp_max(-_TINY) / 255
        return across, fall, sums, apart

    def _gradient(
        self,
        model: Callable[[Tensor], Tensor],
        images: Tensor,
        seeds: Tensor,
        *,
        count: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Gradient (n, D) of the lead of the seeds' labels, and the lead (n,)."""
        task = self._task
        leads = []

        def lead(x: Tensor, rows: Tensor) -> Tensor:
            value = leads_of(model(x), task.labels[seeds[rows]].to(x.device), task.rival)
            leads.append(value.detach())
            return value

        gradient = task.gradient(images, lead, seeds, count=count)
        return gradient.flatten(1), torch.cat(leads).cpu()

    def _heading(self, gradient: Tensor) -> Tensor:
        """The steepest direction (n, D) under the norm, of one level a value on average."""
        if self._task.bound.norm == "linf":
            return gradient.sign()
        return gradient / gradient.square().mean(1, keepdim=True).sqrt().clamp_min(_TINY)

    def _dithered(self, places: Tensor, seeds: Tensor) -> Tensor:
        """Candidates uint8 at places (n, D), each time with another dither."""
        self._asked[seeds] += 1
        dither = (self._dither[seeds] + _GOLDEN * self._asked[seeds, None]) % 1
        images = (self._inside(places, seeds) + dither).floor_()
        return self._task.clip(images.view(-1, *self._task.images.shape[1:]), seeds)

    def _inside(self, places: Tensor, seeds: Tensor) -> Tensor:
        return self._task.bound.nearest(places, self._task.images[seeds].flatten(1))


def _unit(gradient: Tensor) -> Tensor:
    unit: Tensor = gradient / gradient.norm(dim=1, keepdim=True).clamp_min(_TINY)
    return unit
