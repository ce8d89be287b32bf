"""Shrinking against models that are known: two linear ones, whose gap is where deviations lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compd.corpus.shrink import Steps, shrink
from compd.corpus.trials import Judged, Outcome, Pixels, Slopes, change


@dataclass
class Linear:
    """Two linear margins over levels: a flip is where the deployed one's alone is negative."""

    original: Any  # (C, H, W) logits a level
    deployed: Any
    seed: Pixels
    margin: tuple[float, float]  # of the seed
    trials: int = 0

    def margins(self, image: Pixels) -> tuple[float, float]:
        delta = image.astype(float) - self.seed
        return (
            self.margin[0] + float((self.original * delta).sum()),
            self.margin[1] + float((self.deployed * delta).sum()),
        )

    def outcome(self, image: Pixels, least: float = 0.0) -> Outcome:
        original, deployed = self.margins(image)
        if deployed >= 0 or -deployed < least:
            return Outcome.SHORT
        return Outcome.FLIP if original > 0 and original >= least else Outcome.OVER

    def severity(self, image: Pixels) -> float:
        original, deployed = self.margins(image)
        return min(original, -deployed)

    def slopes(self, image: Pixels) -> Slopes:
        mean = sum(self.margins(image)) / 2
        return Slopes(self.original.astype(np.float32), self.deployed.astype(np.float32), mean)


def run(steps: Steps, models: Linear, slopes: Callable[[Pixels], Slopes] | None = None) -> Any:
    """Answer what a shrinking asks, and see to it that nothing it tries leaves the lattice."""
    said = None
    while True:
        try:
            ask = next(steps) if said is None else steps.send(said)
        except StopIteration as end:
            return end.value
        assert ask.image.dtype == np.uint8
        assert ask.image.shape == models.seed.shape
        if ask.slopes:
            said = (slopes or models.slopes)(ask.image)
        else:
            models.trials += 1
            outcome = models.outcome(ask.image, ask.least)
            said = Judged(outcome, models.severity(ask.image))


def world(number: int, channels: int = 3, size: int = 6, reach: int = 8) -> tuple[Linear, Pixels]:
    """Models and a deviation that changes nearly all pixels, as a walk of sign steps leaves it."""
    draws = np.random.default_rng(number)
    seed = draws.integers(0, 256, (channels, size, size)).astype(np.uint8)
    original = draws.standard_normal(seed.shape)
    deployed = original + 0.3 * draws.standard_normal(seed.shape)
    heading = -np.sign(original + deployed) * draws.integers(0, reach + 1, seed.shape)
    image = (seed + heading).clip(0, 255).astype(np.uint8)
    models = Linear(original, deployed, seed, (0.0, 0.0))
    there = models.margins(image)
    gap = draws.uniform(0.2, 4.0)
    models.margin = (gap - there[0], -gap - there[1])
    assert models.outcome(image) is Outcome.FLIP
    return models, image


def shrunk(models: Linear, image: Pixels, *, bound: int = 8, trials: int = 300, seed: int = 0):
    draws = np.random.default_rng(seed)
    return run(shrink(image, models.seed, bound=bound, trials=trials, draws=draws), models)


@given(
    number=st.integers(0, 10_000),
    channels=st.sampled_from([1, 3]),
    size=st.integers(1, 7),
    reach=st.sampled_from([1, 4, 40]),
    bound=st.sampled_from([1, 3, 8, 255]),
    trials=st.integers(0, 200),
)
@settings(max_examples=60)
def test_what_comes_out_is_a_smaller_flip_within_the_bound(
    number: int, channels: int, size: int, reach: int, bound: int, trials: int
) -> None:
    models, image = world(number, channels, size, reach)
    before = image.copy()
    small = shrunk(models, image, bound=bound, trials=trials)
    assert np.array_equal(image, before)  # the caller's arrays are its own
    assert models.outcome(small) is Outcome.FLIP
    assert models.trials <= trials + 1  # one more for the image itself
    far, was = change(small, models.seed), change(image, models.seed)
    assert far <= was
    assert far[1] <= max(bound, was[1])
    assert far[0] > 0 or was[0] == 0


@given(number=st.integers(0, 10_000), length=st.integers(1, 120))
def test_a_length_is_kept_to(number: int, length: int) -> None:
    models, image = world(number)
    draws = np.random.default_rng(0)
    steps = shrink(image, models.seed, bound=64, trials=200, draws=draws, length=length)
    small = run(steps, models)
    assert models.outcome(small) is Outcome.FLIP
    longest = max(length**2, change(image, models.seed)[2])
    assert change(small, models.seed)[2] <= longest


@given(number=st.integers(0, 10_000), keep=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_a_share_of_the_severity_is_kept(number: int, keep: float) -> None:
    models, image = world(number)
    draws = np.random.default_rng(0)
    steps = shrink(image, models.seed, bound=8, trials=200, draws=draws, keep_severity=keep)
    small = run(steps, models)
    assert models.outcome(small) is Outcome.FLIP
    assert models.severity(small) >= keep * models.severity(image)


@pytest.mark.parametrize("number", range(5))
def test_pixels_are_cut_and_cut_no_more_the_second_time(number: int) -> None:
    models, image = world(number, size=16)
    small = shrunk(models, image, trials=1000)
    pixels = change(image, models.seed)[0]
    assert change(small, models.seed)[0] <= pixels / 2
    again = shrunk(models, small, trials=1000, seed=1)
    assert change(again, models.seed)[0] >= 0.8 * change(small, models.seed)[0]
    # no single pixel can be given back
    for row, column in zip(*(small != models.seed).any(0).nonzero(), strict=True):
        less = small.copy()
        less[:, row, column] = models.seed[:, row, column]
        assert models.outcome(less) is not Outcome.FLIP


def test_the_one_pixel_that_matters_is_found() -> None:
    seed = np.full((3, 12, 12), 100, np.uint8)
    original, deployed = np.zeros(seed.shape), np.zeros(seed.shape)
    deployed[1, 5, 7] = -1.0
    models = Linear(original, deployed, seed, (1.0, 3.5))
    image = seed + 6
    small = shrunk(models, image)
    assert np.argwhere(small != seed).tolist() == [[1, 5, 7]]
    assert change(small, seed) == (1, 4, 16)  # 4 levels is the least that flips


@pytest.mark.parametrize("value", [0.0, 1.0, -1e30])
def test_slopes_only_choose_what_to_try(value: float) -> None:
    """Useless gradients cost pixels, never the flip."""
    models, image = world(3, size=8)

    def useless(image: Pixels) -> Slopes:
        flat = np.full(image.shape, value, np.float32)
        return Slopes(flat, flat, value)

    steps = shrink(image, models.seed, bound=8, trials=200, draws=np.random.default_rng(0))
    small = run(steps, models, useless)
    assert models.outcome(small) is Outcome.FLIP
    assert change(small, models.seed) <= change(image, models.seed)


def test_what_is_no_flip_is_not_shrunk() -> None:
    models, image = world(0)
    models.margin = (models.margin[0], models.margin[1] + 1e3)
    assert shrunk(models, image) is None
    assert models.trials == 1


def test_a_seed_that_flips_itself_is_never_the_result() -> None:
    models, image = world(0)
    models.margin = (1e6, -1e6)  # all images flip
    assert change(shrunk(models, image, trials=5000), models.seed)[:2] == (1, 1)


def test_the_same_draws_give_the_same_image() -> None:
    results = []
    for seed in (0, 0, 1):
        models, image = world(7, size=12)
        results.append(shrunk(models, image, trials=120, seed=seed).tobytes())
    assert results[0] == results[1]


def test_a_larger_bound_buys_fewer_pixels() -> None:
    counts = []
    for bound in (1, 16, 64):
        models, image = world(2, size=12, reach=3)
        counts.append(change(shrunk(models, image, bound=bound, trials=2000), models.seed)[0])
    assert counts[0] > counts[1] > counts[2]


def test_an_array_that_cannot_be_written_to_is_enough() -> None:
    models, image = world(1)
    image.flags.writeable = models.seed.flags.writeable = False
    assert models.outcome(shrunk(models, image)) is Outcome.FLIP
