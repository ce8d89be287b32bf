"""One step of the boundary walk, for many seeds at once (see :mod:`.boundary` for the idea)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compd.logits import logit_margins
from compd.search.geometry import parting, steepest
from compd.search.judge import Judgement
from compd.search.strategies.base import Proposal, Task
from compd.search.strategies.root_finder import RootFinder

__all__ = ["BoundaryWalk"]

_GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, spread evenly however many there are
_TINY = 1e-12
_LEAST = 0.5  # levels: less would be lost in the dither
# A sure model's slope flattens on the way to its boundary: first guesses from afar fall short.
_BOLD = 1.5


class BoundaryWalk:
    """Where each seed of a task is, and how it goes on from there.

    Args:
        task: the seeds.
        reach: levels from one trial to the next, at most.
        patience: steps without coming nearer after which a seed is stuck.
    """

    def __init__(self, task: Task, *, reach: float, patience: int) -> None:
        count, size = len(task.images), task.images[0].numel()
        self._task, self._reach, self._patience = task, reach, patience
        self._place = task.images.flatten(1).float()  # (N, D) levels, between the lattice's points
        self._near = torch.zeros(count, dtype=torch.bool)  # whether the boundaries are at hand
        self._least = torch.full((count,), float("inf"))  # |o + d| at the best trial so far
        self._idle = torch.zeros(count, dtype=torch.int64)  # steps since it fell
        self._asked = torch.zeros(count, dtype=torch.int64)
        self._dither = torch.from_numpy(
            np.stack([draw.random(size, dtype=np.float32) for draw in task.draws(0)])
        )
        self.found = torch.zeros(count, dtype=torch.bool)
        self.severity = torch.zeros(count)  # of the most severe deviation so far
        self.stuck = torch.zeros(count, dtype=torch.bool)

    def step(
        self, seeds: Tensor, *, trials: int, stride: float, enough: float
    ) -> Generator[Proposal, Judgement, None]:
        """One gradient for each seed, then a search for ``o + d = 0`` across the boundaries.

        Args:
            seeds: int64 (n,), positions in the task.
            trials: candidates a seed at most.
            stride: how far the gap is widened first, where the boundaries are at hand, as a share
                of the way from the seed (mean absolute change).
            enough: the severity of a deviation after which a seed needs no further trials.
        """
        across, fall, sums, apart, rise = self._directions(seeds)
        near = self._near[seeds]
        start = self._place[seeds]
        # Where the way to the boundaries was long, so are the steps along them.
        gone = (start - self._task.images[seeds].flatten(1)).abs().mean(1)  # (n,) levels
        length = (stride * gone).clamp_min(_LEAST)
        base = self._inside(start + length[:, None] * apart, seeds)  # (n, D)
        # Places are t levels across from base. Where base has moved, o + d there is a guess.
        root = RootFinder(
            torch.where(near, 1.0, _BOLD) * (sums + length * rise) / fall,
            fall,
            sums.masked_fill(near, float("nan")),
            self._reach,
        )
        room = self._room(base, across, seeds)
        done = torch.zeros(len(seeds), dtype=torch.bool)
        rows = torch.arange(len(seeds))
        for _ in range(trials):
            path = base[rows] + root.t[rows, None] * across[rows]
            judgement = yield Proposal(self._dithered(path, seeds[rows]), seeds[rows])
            root.tell(rows, judgement.original_logit_margin + judgement.deployed_logit_margin)
            done[rows] |= judgement.effective
            self.severity[seeds[rows]] = self.severity[seeds[rows]].maximum(judgement.severity)
            # What has come to the end of the box without a root has nothing new to try.
            over = ~root.crossed[rows] & (root.last_t[rows] >= room[rows])
            rows = rows[~(over | (done[rows] & (self.severity[seeds[rows]] >= enough)))]
            if not len(rows):
                break
        self._place[seeds] = self._inside(base + root.best_t[:, None] * across, seeds)
        self._near[seeds] = root.crossed
        self.found[seeds] |= done
        nearer = root.crossed | (root.best < 0.98 * self._least[seeds])
        self._least[seeds] = torch.minimum(root.best, self._least[seeds])
        self._idle[seeds] = torch.where(nearer, 0, self._idle[seeds] + 1)
        self.stuck[seeds] = self._idle[seeds] >= self._patience

    def _directions(self, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Which way to go from where the seeds are.

        Returns:
            The direction that lowers ``o + d`` (n, D); by how much a level of it does (n,);
            ``o + d`` (n,); the direction that widens the gap (n, D), zero far from the boundaries;
            by how much a level of that raises ``o + d`` (n,).
        """
        task = self._task
        images = task.clip(self._place[seeds].view(-1, *task.images.shape[1:]), seeds)
        near = self._near[seeds]
        slope = torch.zeros(len(seeds), images[0].numel())  # of o + d, halved
        sums = torch.zeros(len(seeds))
        apart, rise = torch.zeros_like(slope), torch.zeros_like(sums)
        far, close = (~near).nonzero()[:, 0], near.nonzero()[:, 0]
        if len(far):  # the shadow alone shows the way to both boundaries at half the cost
            slope[far], margin = self._gradient(task.shadow, images[far], seeds[far])
            sums[far] = 2 * margin
        if len(close):
            original, margin = self._gradient(task.original, images[close], seeds[close])
            shadow, other = self._gradient(task.shadow, images[close], seeds[close], count=0)
            slope[close], sums[close] = original, margin + other
            apart[close] = steepest(parting(original, shadow), task.bound.norm)
            # Where both gradients are the same, there is none to follow: nothing widens the gap.
            task.blind[seeds[close[~apart[close].any(1)]]] = True
            rise[close] = ((original + shadow) * apart[close]).sum(1) / 255
        across = -steepest(slope, task.bound.norm)
        fall = -2 * (slope * across).sum(1).clamp_max(-_TINY) / 255
        return across, fall, sums, apart, rise

    def _gradient(
        self,
        model: Callable[[Tensor], Any],
        images: Tensor,
        seeds: Tensor,
        *,
        count: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Gradient (n, D) of the logit margin of the seeds' labels in a model, and the margin."""
        task = self._task
        margins: list[Tensor] = []

        def margin(x: Tensor, rows: Tensor) -> Tensor:
            labels = task.labels[seeds[rows]].to(x.device)
            value = logit_margins(model(x), labels, task.target)
            margins.append(value.detach())
            return value

        gradient = task.gradient(images, margin, seeds, count=count)
        return gradient.flatten(1), torch.cat(margins).cpu()

    def _dithered(self, places: Tensor, seeds: Tensor) -> Tensor:
        """Candidates uint8 at places (n, D), each time with another dither."""
        self._asked[seeds] += 1
        dither = (self._dither[seeds] + _GOLDEN * self._asked[seeds, None]) % 1
        images = (self._inside(places, seeds) + dither).floor_()
        return self._task.clip(images.view(-1, *self._task.images.shape[1:]), seeds)

    def _room(self, base: Tensor, across: Tensor, seeds: Tensor) -> Tensor:
        """How many levels (n,) until a path has all its values at the edge of the box."""
        if self._task.bound.norm != "linf":
            return torch.full((len(seeds),), float("inf"))
        low, high = self._task.bound.box(self._task.images[seeds].flatten(1))
        room: Tensor = torch.where(across > 0, high - base, base - low).amax(1)
        return room

    def _inside(self, places: Tensor, seeds: Tensor) -> Tensor:
        return self._task.bound.nearest(places, self._task.images[seeds].flatten(1))
