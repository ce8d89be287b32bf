"""The boundary walk: go to where the original is undecided, and search there.

A deviation exists where the two decision boundaries part. So each seed is first taken to the
original's boundary, in steps whose length its own margin and gradient suggest; from there it walks
along that boundary towards where the shadow is worse. Gradients are dear and forwards are cheap:
after each gradient, a few candidates on the way across the boundary are judged, and the deployed
model's own answers decide, not the shadow's.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.errors import CompdError
from compd.fuzz.judge import Judgement
from compd.fuzz.strategies.base import Proposal, Search, Task

__all__ = ["Boundary", "search_boundary"]


@dataclass(frozen=True)
class Boundary:
    """Settings of the boundary walk."""

    steps: int = 16  # gradients a seed at most
    trials: int = 5  # bisections after each gradient
    stride: int = 2  # levels walked along the boundary a step
    reach: int = 4  # levels a step at most on the way to it

    def __post_init__(self) -> None:
        if min(self.steps, self.trials, self.stride, self.reach) < 1:
            raise CompdError(f"expected steps, trials, stride and reach >= 1, got {self}")


def search_boundary(config: Boundary, task: Task) -> Search:
    """Propose candidates on and around the original's boundary until each seed has deviated."""
    inside = task.images.clone()  # (N, C, H, W) uint8: the original keeps its label here
    near = torch.zeros(len(inside), dtype=torch.bool)  # whether it touches the boundary
    active = torch.arange(len(inside))
    for step in range(config.steps):
        if not len(active):
            return
        distance, across, along = _directions(task, inside[active], active)
        # On the way: as many levels as the margin is worth. At the boundary: along it.
        levels = (distance * 1.25).ceil().clamp(1, config.reach)
        levels = torch.where(near[active], torch.full_like(levels, config.stride), levels)
        heading = torch.where(near[active][:, None, None, None], along, across)
        outside = _moved(inside[active], heading, levels, task, active)
        flipped, done = yield from _try(task, outside, active)
        inside[active[~flipped]] = outside[~flipped]
        # What has walked along the boundary without crossing it is pushed across.
        push = near[active] & ~flipped & ~done
        if push.any():
            rows = active[push]
            beyond = _moved(inside[rows], across[push], levels[push], task, rows)
            crossed, hit = yield from _try(task, beyond, rows)
            inside[rows[~crossed]] = beyond[~crossed]
            outside[push] = beyond
            flipped[push], done[push] = crossed, hit
        near[active] = flipped
        hunt = flipped & ~done
        if hunt.any():
            done[hunt] |= yield from _bisect(
                config, task, inside, outside[hunt], active[hunt], step
            )
        active = active[~done]


def _directions(task: Task, images: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How far the original's boundary is, which way across it, and which way along it.

    Returns:
        (N,) levels to the boundary by first order; sign directions (N, C, H, W) int16 that lower
        both margins, and that lower the shadow's margin while keeping the original's.
    """
    pair = task.pair
    labels = task.labels[seeds].to(pair.device)[:, None]
    margins: list[Tensor] = []

    def margin(logits: Tensor) -> Tensor:
        own = logits.gather(1, labels)
        rest = logits.scatter(1, labels, float("-inf")).amax(1, keepdim=True)
        return (own - rest)[:, 0]

    def both(x: Tensor) -> Tensor:
        # One leaf, both models side by side: one backward pass gives both gradients.
        half = len(x) // 2
        m = torch.cat([margin(task.original(x[:half])), margin(task.shadow(x[half:]))])
        margins.append(m.detach().cpu())
        return m

    gradient = task.gradient(torch.cat([images, images]), both, count=len(images))
    original, shadow = gradient.flatten(1).chunk(2)  # each (N, D)
    unit = original / original.norm(dim=1, keepdim=True).clamp_min(1e-12)
    other = shadow / shadow.norm(dim=1, keepdim=True).clamp_min(1e-12)
    along = other - (other * unit).sum(1, keepdim=True) * unit
    slope = original.abs().sum(1).clamp_min(1e-12) / 255  # margin lost a level
    shape = images.shape
    return (
        margins[0][: len(images)] / slope,
        -(unit + other).sign().view(shape).to(torch.int16),
        -along.sign().view(shape).to(torch.int16),
    )


def _moved(images: Tensor, heading: Tensor, levels: Tensor, task: Task, seeds: Tensor) -> Tensor:
    """Images a number of levels further, inside the box."""
    step = levels.to(torch.int16)[:, None, None, None] * heading
    low, high = task.low[seeds].to(torch.int16), task.high[seeds].to(torch.int16)
    return (images.to(torch.int16) + step).clamp(low, high).to(torch.uint8)


def _try(
    task: Task, images: Tensor, seeds: Tensor
) -> Generator[Proposal, Judgement, tuple[Tensor, Tensor]]:
    """Have candidates judged: (N,) whether the original left its label, whether effective."""
    judgement = yield Proposal(images, seeds)
    return judgement.original.label != task.labels[seeds], judgement.effective


def _bisect(
    config: Boundary, task: Task, inside: Tensor, outside: Tensor, seeds: Tensor, step: int
) -> Generator[Proposal, Judgement, Tensor]:
    """Close in on the original's boundary by taking a growing subset of pixels from outside.

    Updates ``inside`` to the last image before the boundary.

    Returns:
        (N,) whether one of the trials was effective.
    """
    start = inside[seeds]
    shape = start.shape
    draws = task.draws(step, seeds)
    order = torch.stack([torch.from_numpy(g.random(start[0].numel())) for g in draws]).view(shape)
    low, high = torch.zeros(len(seeds)), torch.ones(len(seeds))
    done = torch.zeros(len(seeds), dtype=torch.bool)
    for _ in range(config.trials):
        rows = (~done).nonzero()[:, 0]
        if not len(rows):
            break
        share = (low + high)[rows] / 2
        taken = order[rows] < share[:, None, None, None]
        trial = torch.where(taken, outside[rows], start[rows])
        left, hit = yield from _try(task, trial, seeds[rows])
        high[rows[left]] = share[left]
        low[rows[~left]] = share[~left]
        inside[seeds[rows[~left]]] = trial[~left]
        done[rows] = hit
    return done
