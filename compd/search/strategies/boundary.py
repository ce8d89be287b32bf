"""The boundary walk: go to where the models are undecided, and part them there.

A deviation exists where the two decision boundaries part. Write ``o`` and ``d`` for the logit
margin of the seed's label, its logit less the best other one, in the original and in the deployed
model. Then ``o + d`` says how far an image is from the boundaries, and ``o - d``, the gap, how far
these are apart: where ``o + d`` is 0 and the gap is positive, the original keeps its label and the
deployed model has lost it, both by half the gap.

So each seed is first taken to where ``o + d`` is 0. From there, each step widens the gap along the
difference of both models' *unit* gradients: with gradients as they are, the steeper model would
drown the other, and with probabilities, as in DIVA, a model that is sure has none. Then it goes
back to 0 across the boundaries. Gradients are dear and forwards are cheap, so the way back is a
secant search on the logit margins of the real models, which their answers give anyway. And each
trial rounds its place to the lattice with another dither: the rounding errors inside an int8 model
are others for each, so that a trial is also a fresh draw of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from compd.errors import SettingError
from compd.search.strategies.base import Search, Task
from compd.search.strategies.walk import BoundaryWalk

__all__ = ["Boundary", "search_boundary"]

# What a climb takes of all steps: every found seed is in it, with both models' gradients.
_CLIMB = 2


@dataclass(frozen=True)
class Boundary:
    """Settings of the boundary walk."""

    steps: int = 24  # gradients a seed at most, until it deviates
    trials: int = 6  # candidates after each gradient, at most
    stride: float = 0.4  # by how much a step widens the gap, as a share of the way from the seed
    reach: float = 16.0  # levels from one trial to the next, at most
    patience: int = 8  # steps without coming nearer after which a seed is given up
    climbs: int = 10  # steps from a deviation towards severity (goal "severe")
    severe: float = 0.5  # seeds that are milder then climb as many steps again, at most
    sure: float = 0.99  # severity from which on a seed climbs no further: both models are sure
    climb_trials: int = 3
    climb_stride: float = 0.35

    def __post_init__(self) -> None:
        counts = (self.steps, self.trials, self.patience, self.climbs, self.climb_trials)
        if min(counts) < 1:
            raise SettingError(
                f"expected steps, trials, patience, climbs and climb_trials >= 1, got {self}"
            )
        above = (self.stride, self.reach, self.climb_stride, self.sure)
        if not all(value > 0 for value in above):
            raise SettingError(f"expected stride, reach, climb_stride and sure > 0, got {self}")


def search_boundary(config: Boundary, task: Task) -> Search:
    """Propose candidates on and around the boundaries until each seed has deviated.

    With goal "severe", then go on from the deviations.
    """
    walk = BoundaryWalk(task, reach=config.reach, patience=config.patience)
    severe = task.goal == "severe"
    total = config.steps + (2 * config.climbs * _CLIMB if severe else 0)

    def rounds(
        steps: int, going: Callable[[], Tensor], before: float, each: float, **how: Any
    ) -> Search:
        """Step with all seeds that are still going, ``steps`` times at most."""
        for done in range(steps):
            seeds = going().nonzero()[:, 0]
            if not len(seeds):
                return
            task.share = (before + each * (done + 1)) / total
            yield from walk.step(seeds, **how)

    yield from rounds(
        config.steps,
        lambda: ~(walk.found | walk.stuck | task.blind),
        0,
        1,
        trials=config.trials,
        stride=config.stride,
        enough=0,
    )
    if not severe:
        return
    how: dict[str, Any] = {"trials": config.climb_trials, "stride": config.climb_stride}
    spent = config.steps
    for going in (
        lambda: walk.found & ~task.blind & (walk.severity < config.sure),
        lambda: walk.found & ~task.blind & (walk.severity < config.severe),
    ):
        yield from rounds(config.climbs, going, spent, _CLIMB, enough=config.sure, **how)
        spent += _CLIMB * config.climbs
