"""Where the gradients of a pair lead from a seed: to the boundaries, and on to where these part.

With *o* and *d* for the logit margin of the seed's label in original and shadow, a way goes from
the seed to where *o* + *d* is 0, and from there through places where it stays 0 and the gap
*o* − *d* gets wider: the boundary walk (:mod:`compd.search.strategies.boundary`) in a few steps,
with the shadow in place of the deployed model. Deviations are likely to lie beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.logits import answers_of, logit_margins
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.search.bounds import Bound
from compd.search.geometry import along, parting, steepest
from compd.testing.candidates import Candidate

__all__ = ["Way", "Ways"]

_STEPS = 4  # that widen the gap
_STRIDE = 0.6  # length of such a step, as a share of the way from the seed to the boundaries
_LEAST = 0.5  # levels: less is lost in rounding
_KEPT = 64  # seeds whose ways are kept: shrinking stays with few
_TINY = 1e-12


@dataclass(frozen=True)
class Way:
    """The way of one seed; places are between the lattice's points, float32 (C, H, W) in levels."""

    seed: Tensor
    stations: tuple[Tensor, ...]  # the places at the boundaries, each with a wider gap
    headings: tuple[Tensor, ...]  # at each of them the direction across, one level a value
    boundary: float  # from the seed to the first station: levels, root mean square

    @property
    def steps(self) -> int:
        """From the first station to the last."""
        return len(self.stations) - 1

    def at(self, apart: float, across: float, reach: float) -> Tensor:
        """A place on the way, or beside it.

        Args:
            apart: how far along the stations, 0..steps.
            across: levels to go on across the boundaries, or not to.
            reach: Euclidean distance from the seed, in levels, to which the place is drawn back.
        """
        last = min(int(apart), self.steps - 1)
        here, there = self.stations[last], self.stations[last + 1]
        place = here + (apart - last) * (there - here) + across * self.headings[last]
        change = place - self.seed
        return self.seed + min(1.0, reach / max(float(change.norm()), _TINY)) * change


class Ways:
    """Finds the ways of seeds.

    Args:
        pair: whose original and shadow have gradients.
        bound: that the ways keep to.

    Raises:
        CompdError: if the pair has no gradients.
    """

    def __init__(self, pair: Pair, bound: Bound) -> None:
        self._models = pair.original, pair.shadow
        self._pair, self._bound = pair, bound
        self._known: dict[str, Way] = {}

    def __call__(self, candidate: Candidate) -> Way:
        """The way of a candidate's seed."""
        key = candidate.seed_sha256
        if key not in self._known:
            if len(self._known) >= _KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = self._find(candidate.seed)
        return self._known[key]

    def _find(self, seed: Tensor) -> Way:
        self._pair.check_input(seed[None], "a seed")
        label = answers_of(self._pair.reference.run(seed[None])).label  # (1,)
        start = seed.float()[None]
        # The shadow alone: from afar, what it cannot see is what the original can be led past.
        _, slope = self._slopes(start, label)
        norm = self._bound.norm
        heading = -steepest(slope, norm)
        place = self._crossing(start, start, heading, label, _doubling())
        boundary = float((place - start).square().mean().sqrt())
        length = max(_LEAST, _STRIDE * boundary)
        stations, headings = [place[0]], [heading[0]]
        for _ in range(_STEPS):
            original, shadow = self._slopes(place, label)
            both = original + shadow
            apart = steepest(along(parting(original, shadow), both), norm)
            wider = self._bound.nearest(place + length * apart, seed[None])
            heading = -steepest(both, norm)
            nearby = torch.linspace(-1.5, 1.5, 8) * length
            place = self._crossing(start, wider, heading, label, nearby)
            stations.append(place[0])
            headings.append(heading[0])
        return Way(seed.float(), tuple(stations), tuple(headings), boundary)

    def _slopes(self, place: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of both logit margins at a place (1, C, H, W), between the lattice's points."""
        found = []
        for model in self._models:
            x = to_input(place, self._pair.device).requires_grad_()
            margin = logit_margins(model(x).float(), label.to(x.device))
            (gradient,) = torch.autograd.grad(margin.sum(), x)
            found.append(gradient.cpu().nan_to_num())
        return found[0], found[1]

    def _crossing(
        self, start: Tensor, base: Tensor, direction: Tensor, label: Tensor, steps: Tensor
    ) -> Tensor:
        """The place on a line where ``o + d`` is 0, or else nearest to it.

        Args:
            start: the seed, float (1, C, H, W).
            base: where the line begins.
            direction: of the line, one level a step.
            label: (1,), the seed's.
            steps: (n,), ascending, at which to look first.
        """
        for _ in range(2):
            places = base + steps[:, None, None, None] * direction
            places = self._bound.nearest(places, start.expand_as(places))
            totals = self._totals(places, label)
            turns = ((totals[1:] < 0) != (totals[:-1] < 0)).nonzero()[:, 0]
            if not len(turns):
                return places[int(totals.abs().argmin())][None]
            left = int(turns[steps[turns].abs().argmin()])
            steps = torch.linspace(float(steps[left]), float(steps[left + 1]), 8)
        return places[int(totals.abs().argmin())][None]

    def _totals(self, places: Tensor, label: Tensor) -> Tensor:
        """``o + d`` at places (n, C, H, W)."""
        with torch.inference_mode():
            x = to_input(places, self._pair.device)
            labels = label.to(x.device).expand(len(x))
            both = [logit_margins(model(x).float(), labels) for model in self._models]
            return (both[0] + both[1]).cpu()


def _doubling() -> Tensor:
    """0, then 0.5 to 64 levels."""
    return torch.cat([torch.zeros(1), 2.0 ** torch.arange(-1, 7)])
