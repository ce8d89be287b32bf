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
from typing import Any

import torch
from torch import Tensor

from compd.errors import SettingError, unknown
from compd.search.feedback import KINDS, energies
from compd.search.judge import Judgement
from compd.search.strategies.base import Proposal, Search, Task
from compd.search.strategies.walk import BoundaryWalk

__all__ = ["Boundary", "search_boundary"]

_CLIMB = (
    2  # what a climb takes of all steps: every found seed is in it, with both models' gradients
)


@dataclass(frozen=True)
class Boundary:
    """SearchSettings of the boundary walk."""

    steps: int = 24  # gradients a seed at most, until it deviates
    trials: int = 6  # candidates after each gradient, at most
    stride: float = 0.4  # by how much a step widens the gap, as a share of the way from the seed
    reach: float = 16.0  # levels from one trial to the next, at most
    patience: int = 8  # steps without coming nearer after which a seed is given up
    climbs: int = 10  # steps from a deviation towards severity (goal "severe")
    severe: float = 0.5  # seeds that are milder then climb as many steps again, at most
    climb_trials: int = 3
    climb_stride: float = 0.35
    coverage: str = "none"  # or "neuron", "channel", "layer": who gets the second half of the steps

    def __post_init__(self) -> None:
        counts = (self.steps, self.trials, self.patience, self.climbs, self.climb_trials)
        if min(counts) < 1:
            raise SettingError(
                f"expected steps, trials, patience, climbs and climb_trials >= 1, got {self}"
            )
        if not all(levels > 0 for levels in (self.stride, self.reach, self.climb_stride)):
            raise SettingError(f"expected stride, reach and climb_stride > 0, got {self}")
        if self.coverage not in ("none", *KINDS):
            raise unknown("coverage", self.coverage, ("none", *KINDS))


def search_boundary(config: Boundary, task: Task) -> Search:
    """Propose candidates on and around the boundaries until each seed has deviated.

    With goal "severe", then go on from the deviations.
    """
    walk = BoundaryWalk(
        task, reach=config.reach, patience=config.patience, coverage=config.coverage
    )
    severe = task.goal == "severe"
    total = config.steps + (2 * config.climbs * _CLIMB if severe else 0)

    def spent(rounds: float) -> None:
        task.share = rounds / total

    yield from _rounds(
        walk,
        config.steps,
        lambda: ~(walk.found | walk.stuck | task.blind),
        spent,
        trials=config.trials,
        stride=config.stride,
        enough=True,
    )
    if severe:
        climb: dict[str, Any] = {
            "trials": config.climb_trials,
            "stride": config.climb_stride,
            "enough": False,
        }
        yield from _rounds(
            walk,
            config.climbs,
            lambda: walk.found & ~task.blind,
            lambda rounds: spent(config.steps + _CLIMB * rounds),
            **climb,
        )
        for i in range(config.climbs):
            spent(config.steps + _CLIMB * (config.climbs + i + 1))
            mild = walk.found & ~task.blind & (walk.severity < config.severe)
            if not mild.any():
                return
            yield from walk.step(mild.nonzero()[:, 0], **climb)


def _rounds(
    walk: BoundaryWalk,
    steps: int,
    going: Callable[[], Tensor],
    spent: Callable[[int], None],
    **how: Any,
) -> Generator[Proposal, Judgement, None]:
    """Step with all seeds that are still going, ``steps`` times; ``spent`` is told of each.

    With coverage, only half as many times. The rest goes to seeds by what they have lit.
    """
    done = 0
    while done < (steps if walk.coverage is None else (steps + 1) // 2):
        seeds = going().nonzero()[:, 0]
        if not len(seeds):
            return
        done += 1
        spent(done)
        yield from walk.step(seeds, **how)
    if walk.coverage is None:
        return
    seeds = going().nonzero()[:, 0]
    left = torch.zeros(len(walk.found), dtype=torch.int64)
    if len(seeds):
        left[seeds] = energies(walk.fresh[seeds], len(seeds) * (steps // 2), 2 * steps)
    while True:
        seeds = (going() & (left > 0)).nonzero()[:, 0]
        if not len(seeds):
            return
        left[seeds] -= 1
        done += 1
        spent(min(done, steps))
        yield from walk.step(seeds, **how)
