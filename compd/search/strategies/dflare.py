"""DFLARE (Tian et al., TOSEM 2023), under a bound: the published search without gradients.

One image is mutated again and again by operators that a Metropolis-Hastings rule chooses by their
record; a mutant replaces it if both models' probabilities are in a state not seen before, or differ
by more than any before. Here, unlike there:

- each mutant is clipped to the box of its seed, and lies on the lattice;
- a mutant on which the original leaves its label is dropped: the published search goes on from it,
  and counts what deviates in whatever picture has come of it by then;
- a larger difference is progress, as the paper has it. The published implementation takes any
  other one, a smaller one too;
- a state is made of each model's three most probable classes, which is what a judgement holds; the
  probabilities of the others count as zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compd.errors import SettingError
from compd.search.strategies.base import Search, Task
from compd.search.strategies.operators import OPERATORS
from compd.search.strategies.per_seed import Reply, Seed, SeedSearch, searched_per_seed

__all__ = ["Dflare", "search_dflare"]


@dataclass(frozen=True)
class Dflare:
    """Settings of DFLARE; the defaults are the published ones."""

    queries: int = 2000  # candidates a seed at most, each judged by both models
    new_state: float = 0.5  # squared distance to all states before

    def __post_init__(self) -> None:
        if self.queries < 1 or not self.new_state > 0:
            raise SettingError(f"expected queries >= 1 and new_state > 0, got {self}")


def search_dflare(config: Dflare, task: Task) -> Search:
    """Propose each seed and then its mutants, one by one, until it has deviated."""
    return searched_per_seed(task, lambda seed: _walk(config, seed), config.queries)


def _walk(config: Dflare, seed: Seed) -> SeedSearch:
    draw = seed.draw
    current = seed.image  # uint8 (C, H, W)
    [reply] = yield [current]
    states = [_state(reply, seed.classes)]
    difference = 0.0  # of both models' confidence, the largest so far
    applied, improved = np.zeros(len(OPERATORS)), np.zeros(len(OPERATORS))
    last: int | None = None  # the operator of the last progress
    while True:
        chosen = _choose(draw, applied, improved, last)
        applied[chosen] += 1
        mutant = np.clip(OPERATORS[chosen](current, draw), seed.low, seed.high)
        [reply] = yield [mutant]
        if reply.effective:
            return
        if not reply.kept:
            continue
        state = _state(reply, seed.classes)
        far = min(float(((state - other) ** 2).sum()) for other in states) > config.new_state
        if far:
            states.append(state)
        gap = abs(reply.confidence[0] - reply.confidence[1])
        if far or gap > difference:
            current, difference, last = mutant, gap, chosen
            improved[chosen] += 1


def _choose(
    draw: np.random.Generator,
    applied: NDArray[np.float64],
    improved: NDArray[np.float64],
    last: int | None,
) -> int:
    """The next operator, by Metropolis-Hastings on ranks: anything, but rarely a worse one.

    Operators are ranked by how often they made progress, at random among equals. From the last one
    at rank a, one at rank b is accepted with probability ``(1 - 1/n) ** (b - a)``.
    """
    count = len(applied)
    if last is None:
        return int(draw.integers(count))
    rate = improved / np.maximum(applied, 1)
    ranked = np.lexsort((draw.random(count), -rate)).tolist()
    rank = ranked.index(last)
    while True:
        other = int(draw.integers(count))
        if draw.random() < (1 - 1 / count) ** (other - rank):
            return int(ranked[other])


def _state(reply: Reply, classes: int) -> NDArray[np.float64]:
    """Both models' probabilities, side by side: (2 * classes,)."""
    vectors = np.zeros((2, classes))
    for vector, (labels, probabilities) in zip(vectors, reply.top, strict=True):
        vector[labels] = probabilities
    return vectors.reshape(-1)
