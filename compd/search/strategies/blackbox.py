"""The search without gradients: squares to the original's boundary, then deviations across it.

For artifacts that have no shadow to differentiate. Deviations are dense where the original is
nearly undecided, so each seed is taken there first, by random search over squares (Square Attack,
Andriushchenko et al., ECCV 2020), which needs nothing but the answers. It differs from that attack
in what it wants: a candidate on which the original changes its label is no success. It is the far
end of a bisection, whose trials lie on the original's boundary, where the deployed model's answer
is judged. Progress is, far from that boundary, the original's logit margin; near it the sum of
both logit margins, which is at its lowest where both are undecided and goes on falling, along the
boundary, towards where the deployed model is worse.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from compd.errors import SettingError
from compd.search.strategies.base import Search, Task
from compd.search.strategies.per_seed import Image, Reply, Seed, SeedSearch, searched_per_seed
from compd.search.strategies.squares import Square, draw_square, side_after, stripes

__all__ = ["Blackbox", "search_blackbox"]

# Logits. On ResNet-20 / CIFAR-10, int8, 8/255, 2,000 queries: 100 of 100 seeds with 0.5, 2 and 5,
# 99 with no limit.
_NEAR = 4.0
# Queries without progress after which the next candidate is good enough: it was luck, and the walk
# goes on from average places.
_PATIENCE = 100


@dataclass(frozen=True)
class Blackbox:
    """Settings of the search without gradients."""

    queries: int = 2000  # candidates a seed at most, each judged by both models
    area: float = 0.1  # share of the image that the first squares cover
    trials: int = 6  # bisections towards each candidate that crosses the original's boundary
    radius: int = 8  # levels to either side of a seed where no bound is set

    def __post_init__(self) -> None:
        if min(self.queries, self.trials, self.radius) < 1 or not 0 < self.area <= 1:
            raise SettingError(
                f"expected queries, trials and radius >= 1 and area in 0..1, got {self}"
            )


def search_blackbox(config: Blackbox, task: Task) -> Search:
    """Propose squares and bisections, for each seed on its own, until it has deviated.

    With goal "severe", then make that worse until the budget is spent.
    """
    return searched_per_seed(task, lambda seed: _walk(config, seed, task.goal), config.queries)


@dataclass(frozen=True)
class _Deviation:
    image: Image
    severity: float


@dataclass
class _At:
    """Where a walk is."""

    image: Image  # uint8 (C, H, W): neither model changes its answer here
    low: Image  # the box
    high: Image
    value: tuple[bool, float] = (True, np.inf)  # of the image, see _value
    queries: int = 0  # asked so far
    progress: int = 0  # queries at the last step

    def ask(self, images: Sequence[Image]) -> Generator[Sequence[Image], list[Reply], list[Reply]]:
        """Have candidates judged, and go to the best of those that changed no answer."""
        replies = yield images
        self.queries += len(images)
        if self.queries - self.progress > _PATIENCE:
            self.value = (True, np.inf)
        for image, reply in zip(images, replies, strict=True):
            if reply.kept and not reply.effective and _value(reply) < self.value:
                self.image, self.value, self.progress = image, _value(reply), self.queries
        return replies


def _value(reply: Reply) -> tuple[bool, float]:
    """How far a candidate is from a deviation; less is better.

    Near the original's boundary it is the sum of both logit margins. Further out the deployed
    model's is left out: rounding makes it jump by a logit from one candidate to the next, so that
    one lucky jump would bar the way to the boundary.
    """
    original, deployed = reply.logit_margin
    return (True, original) if original > _NEAR else (False, original + deployed)


def _walk(config: Blackbox, seed: Seed, goal: str) -> SeedSearch:
    at = _At(seed.image, *_box(config, seed))
    found = yield from _approach(config, seed.draw, at)
    if goal == "severe":
        yield from _worsen(config, seed.draw, at, found)


def _approach(
    config: Blackbox, draw: np.random.Generator, at: _At
) -> Generator[Sequence[Image], list[Reply], _Deviation]:
    """Search until something deviates; who runs the walk ends it when the budget is spent."""
    images: list[Image] = [stripes(draw, at.low, at.high)]
    squares: list[Square] = []  # of the first of these images: those whose mirror image is untried
    while True:
        base, before = at.image, at.value
        replies = yield from at.ask(images)
        if found := _worst(images, replies):
            return found
        outside = [image for image, reply in zip(images, replies, strict=True) if not reply.kept]
        if outside and (found := (yield from _bisect(config, draw, at, base, outside))):
            return found
        # A square that made both surer says that its mirror image is worth a query.
        mirrored = [
            square.mirrored()
            for square, reply in zip(squares, replies, strict=False)
            if reply.kept and _value(reply) > before
        ]
        squares = [_fresh(config, draw, at) for _ in range(_width(at.queries) - len(mirrored))]
        images = [square.on(at.image, at.low, at.high) for square in squares + mirrored]


def _bisect(
    config: Blackbox, draw: np.random.Generator, at: _At, inside: Image, outside: list[Image]
) -> Generator[Sequence[Image], list[Reply], _Deviation | None]:
    """Close in on the original's boundary by taking a growing subset of pixels from outside.

    Each image outside gets a bisection of its own, with an order of pixels of its own.
    """
    orders = draw.random((len(outside), *inside.shape))
    bounds = [(0.0, 1.0)] * len(outside)
    for _ in range(config.trials):
        shares = [(low + high) / 2 for low, high in bounds]
        trials = [
            np.where(order < share, far, inside)
            for order, share, far in zip(orders, shares, outside, strict=True)
        ]
        replies = yield from at.ask(trials)
        if found := _worst(trials, replies):
            return found
        bounds = [
            (share, high) if reply.kept else (low, share)
            for (low, high), share, reply in zip(bounds, shares, replies, strict=True)
        ]
    return None


def _worsen(config: Blackbox, draw: np.random.Generator, at: _At, found: _Deviation) -> SeedSearch:
    """From a deviation on to more severe ones, by squares, until the budget is spent."""
    best = found
    while True:
        squares = [_fresh(config, draw, at) for _ in range(_width(at.queries))]
        images = [square.on(best.image, at.low, at.high) for square in squares]
        worst = _worst(images, (yield from at.ask(images)))
        if worst and worst.severity > best.severity:
            best = worst


def _worst(images: Sequence[Image], replies: Sequence[Reply]) -> _Deviation | None:
    """The most severe deviation among candidates, if there is one."""
    found = [
        _Deviation(image, reply.severity)
        for image, reply in zip(images, replies, strict=True)
        if reply.effective
    ]
    return max(found, key=lambda deviation: deviation.severity, default=None)


def _fresh(config: Blackbox, draw: np.random.Generator, at: _At) -> Square:
    shape = at.image.shape
    return draw_square(draw, side_after(at.queries, config.area, shape), shape)


def _width(queries: int) -> int:
    """Candidates a round: more, the longer it takes.

    The rarer progress is, the less is lost by trying some squares at once, and the fewer seeds are
    left to fill a batch with (ResNet-20: 154 ms a seed instead of 236, for 111 queries, not 107).
    """
    return 1 + min(7, queries // 100)


def _box(config: Blackbox, seed: Seed) -> tuple[Image, Image]:
    """The edges that squares go to: those of the box, or ``radius`` where it is the whole lattice.

    Steps go from edge to edge, so with no bound they would paint the picture over.
    """
    if seed.low.any() or (seed.high < 255).any():
        return seed.low, seed.high
    wide = seed.image.astype(np.int16)
    low, high = (wide - config.radius).clip(0, 255), (wide + config.radius).clip(0, 255)
    return low.astype(np.uint8), high.astype(np.uint8)
