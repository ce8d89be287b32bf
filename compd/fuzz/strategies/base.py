"""What a strategy is: a generator that proposes candidates and is told what became of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from compd.errors import CompdError
from compd.fuzz.clock import Clock
from compd.fuzz.judge import Judgement
from compd.fuzz.streams import draws_at
from compd.models.inputs import steady, to_input
from compd.pair import Pair

__all__ = ["Proposal", "Search", "Task"]


@dataclass(frozen=True)
class Proposal:
    """Candidates, and which seed each of them comes from."""

    images: Tensor  # uint8 (N, C, H, W)
    seeds: Tensor  # int64 (N,): positions in the task


@dataclass
class Task:
    """One batch of seeds, and all that a strategy may ask of the models.

    The framework clips what is proposed to the box, judges it and keeps the books.
    """

    pair: Pair
    images: Tensor  # uint8 (N, C, H, W): the seeds
    labels: Tensor  # int64 (N,): the original's labels for them
    low: Tensor  # uint8 (N, C, H, W): the box of allowed values
    high: Tensor
    keys: Sequence[int]  # identities of the seeds
    random_seed: int
    clock: Clock = field(default_factory=Clock)  # time inside models
    gradients: int = 0  # images differentiated so far
    passes: int = 0  # calls of gradient() so far

    def __post_init__(self) -> None:
        self.original = steady(self.pair.original)  # float pixels (N, C, H, W) -> logits (N, K)
        self.shadow = steady(self.pair.shadow)

    def draws(self, step: int, seeds: Tensor | None = None) -> list[np.random.Generator]:
        """One generator per seed (of those at ``seeds``), the same in any batch."""
        chosen = self.keys if seeds is None else [self.keys[i] for i in seeds.tolist()]
        return draws_at(self.random_seed, chosen, step)

    def gradient(
        self, images: Tensor, objective: Callable[[Tensor], Tensor], *, count: int | None = None
    ) -> Tensor:
        """Gradient of a per-sample objective with respect to pixels in 0..1.

        Args:
            images: uint8 (N, C, H, W), on the lattice as all candidates are.
            objective: float pixels (N, C, H, W) on the pair's device -> (N,) values.
            count: how many gradients to book; N by default. A gradient is one pass through
                original and shadow for one image.

        Returns:
            float32 (N, C, H, W) on the CPU.

        Raises:
            CompdError: if a gradient is NaN or infinite.
        """
        with self.clock.running():
            x = to_input(images, self.pair.device).requires_grad_()
            (gradient,) = torch.autograd.grad(objective(x).sum(), x)
            gradient = gradient.cpu()
        self.gradients += len(images) if count is None else count
        self.passes += 1
        if not bool(torch.isfinite(gradient).all()):
            raise CompdError(
                "expected finite gradients from original and shadow, got NaN or infinity; "
                "check the weights of both"
            )
        return gradient


# Yields proposals, is sent the judgement of each, returns when it has nothing more to try.
Search = Generator[Proposal, Judgement, None]
