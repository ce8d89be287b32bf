"""What a strategy is: a generator that proposes candidates and is told what became of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compd.control import Clock
from compd.models.inputs import differentiable, steady, to_input
from compd.pair import Pair
from compd.rng import draws_at
from compd.search.bounds import Bound
from compd.search.judge import Judgement

__all__ = ["Proposal", "Search", "Task", "sign_steps"]


@dataclass(frozen=True)
class Proposal:
    """Candidates, and which seed each of them comes from."""

    images: Tensor  # uint8 (N, C, H, W)
    seeds: Tensor  # int64 (N,): positions in the task
    shifts: tuple[str, ...] = ()  # what was done to each seed, where that has a name: "fog:3"

    def chosen(self, rows: Tensor) -> Proposal:
        """Some of the candidates, by their positions, int64 (n,)."""
        shifts = tuple(self.shifts[i] for i in rows.tolist()) if self.shifts else ()
        return Proposal(self.images[rows], self.seeds[rows], shifts)


@dataclass
class Task:
    """Some seeds that are searched together, and all that a strategy may ask of the models.

    The framework clips what is proposed to the bound, judges it and keeps the books.
    """

    pair: Pair
    images: Tensor  # uint8 (N, C, H, W): the seeds
    labels: Tensor  # int64 (N,): the original's labels for them
    bound: Bound
    keys: Sequence[int]  # identities of the seeds
    random_seed: int
    target: int | None = None  # the only other label that makes a deviation count; any if None
    goal: str = "first"  # or "severe": see SearchSettings
    clock: Clock = field(default_factory=Clock)  # time inside models
    gradients: int = 0  # images differentiated so far
    share: float = 0.0  # about how much of the search is done, 0..1, as its strategy says
    notes: list[str] = field(default_factory=list)  # what the strategy decided by itself

    def __post_init__(self) -> None:
        self.blind = torch.zeros(len(self.images), dtype=torch.bool)  # seeds without a gradient
        self.steps = torch.zeros(len(self.images), dtype=torch.int64)  # gradients of each seed

    @cached_property
    def original(self) -> Callable[[Tensor], Any]:
        """Float pixels (N, C, H, W) -> logits (N, K)."""
        return steady(self.pair.original)

    @cached_property
    def shadow(self) -> Callable[[Tensor], Any]:
        """Float pixels (N, C, H, W) -> logits (N, K)."""
        return steady(self.pair.shadow)

    def clip(self, images: Tensor, seeds: Tensor | None = None) -> Tensor:
        """Candidates for all seeds (those at ``seeds``), moved into the bound: uint8."""
        return self.bound.clip(images, self.images if seeds is None else self.images[seeds])

    def draws(self, step: int, seeds: Tensor | None = None) -> list[np.random.Generator]:
        """One generator per seed (of those at ``seeds``), the same in any batch."""
        chosen = self.keys if seeds is None else [self.keys[i] for i in seeds.tolist()]
        return draws_at(self.random_seed, chosen, step)

    def gradient(
        self,
        images: Tensor,
        objective: Callable[[Tensor, Tensor], Tensor],
        seeds: Tensor | None = None,
        *,
        count: int | None = None,
    ) -> Tensor:
        """Gradient of a per-sample objective with respect to pixels in 0..1.

        Args:
            images: uint8 (N, C, H, W), on the lattice as all candidates are.
            objective: (float pixels (n, C, H, W) on the pair's device, int64 (n,) their rows in
                ``images``) -> (n,) values.
            seeds: int64 (N,), which seed each image is of; all seeds in order if None.
            count: how many gradients to book; N by default. A gradient is one backward pass for
                one image, through original, shadow or both.

        Returns:
            float32 (N, C, H, W) on the CPU. Where it is zero, NaN or infinite it is zero, and the
            seed is marked in ``blind``.
        """
        parts = []
        batch = min(self.pair.batch, differentiable(images, self.pair.original, self.pair.shadow))
        for start in range(0, len(images), batch):
            rows = torch.arange(start, min(start + batch, len(images)))
            with self.clock.running():
                x = to_input(images[rows], self.pair.device).requires_grad_()
                (gradient,) = torch.autograd.grad(objective(x, rows).sum(), x)
                parts.append(gradient.cpu())
        gradient = torch.cat(parts)
        self.gradients += len(images) if count is None else count
        if count != 0:
            self.steps[slice(None) if seeds is None else seeds] += 1
        flat = gradient.flatten(1)
        lost = ~flat.isfinite().all(1) | ~flat.any(1)
        if lost.any():
            gradient[lost] = 0
            self.blind[lost if seeds is None else seeds[lost]] = True
        return gradient


# Yields proposals, is sent the judgement of each, returns when it has nothing more to try.
Search = Generator[Proposal, Judgement, None]


def sign_steps(
    task: Task, objective: Callable[[Tensor, Tensor], Tensor], steps: int, levels: int
) -> Search:
    """Climb an objective (as of :meth:`Task.gradient`) by its gradient's sign, from all seeds.

    Each iterate is proposed.
    """
    everyone = torch.arange(len(task.images))
    current = task.images
    for step in range(steps):
        sign = task.gradient(current, objective).sign().to(torch.int16)
        current = task.clip(current.to(torch.int16) + levels * sign)
        task.share = (step + 1) / steps
        yield Proposal(current, everyone)
