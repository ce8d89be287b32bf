"""Methods: what they train on stays on the lattice, and answers are the original's."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.logits import divergence, logit_margins
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.repairing.methods import METHODS, Bench, Distil, Paper, Schedule, Walk, loss_of, method
from compd.repairing.methods.walk import walk

Refuses = Callable[..., Any]


def bench_of(pair: Pair, count: int = 32) -> Bench:
    shadow = copy.deepcopy(pair.shadow).requires_grad_(True)
    splits = tiny_splits()
    return Bench(
        pair.original,
        shadow,
        splits.train.images[:100],
        splits.seeds.images[:count],
        pair.device,
        pad=1,
        mirror=True,
        eps=8,
    )


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(eps=st.integers(1, 40), levels=st.floats(0.5, 30), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_walked_images_are_lattice_points_within_the_bound(
    eps: int, levels: float, seed: int
) -> None:
    bench = bench_of(tiny_pair(Ptq(weight_bits=4)))
    home = bench.clean(8, draw(seed))
    x = walk(Walk(eps=eps, levels=levels), bench, home) * 255
    assert torch.allclose(x, x.round(), atol=1e-3)
    assert float((x - home * 255).abs().max()) <= eps + 1e-3
    assert 0 <= float(x.min()) <= float(x.max()) <= 255


def test_a_walk_leads_to_the_boundary_and_parts_the_models() -> None:
    pair = tiny_pair(Ptq(weight_bits=4))
    bench = bench_of(pair)
    home = to_input(tiny_splits().train.images[:200])
    labels = bench.answers(home).argmax(1)

    def sums_and_gaps(x: torch.Tensor) -> tuple[float, float]:
        with torch.inference_mode():
            o, d = (logit_margins(m(x), labels) for m in (pair.original, pair.shadow))
        return float((o + d).abs().median()), float((o - d).mean())

    walked = walk(Walk(eps=48, levels=4.0), bench, home)
    assert sums_and_gaps(walked)[0] < 0.3 * sums_and_gaps(home)[0]
    assert sums_and_gaps(walked)[1] > sums_and_gaps(home)[1]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_loss_reaches_the_shadow_and_nothing_else(name: str) -> None:
    pair = tiny_pair(Ptq(weight_bits=4))
    bench = bench_of(pair)
    loss = loss_of(method(name, batch=16), bench, draw())
    loss.backward()
    assert all(p.grad is None for p in pair.original.parameters())
    assert any(p.grad is not None and p.grad.any() for p in bench.shadow.parameters())


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_same_draw_gives_the_same_loss(name: str, one_thread: None) -> None:
    bench = bench_of(tiny_pair(Ptq(weight_bits=4)))
    losses = [loss_of(method(name, batch=16), bench, draw(seed)).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("config", [Distil(batch=16), Walk(batch=16)])
def test_equal_models_have_nothing_to_learn(config: Distil | Walk) -> None:
    pair = tiny_pair(Ptq())
    bench = bench_of(pair)
    bench.shadow = copy.deepcopy(pair.original).requires_grad_(True)
    assert abs(loss_of(config, bench, draw()).item()) < 1e-6


def test_divergence_is_that_of_the_definition() -> None:
    p, q = torch.tensor([[0.7, 0.2, 0.1]]), torch.tensor([[0.5, 0.25, 0.25]])
    expected = float((p * (p / q).log()).sum())
    assert float(divergence(q.log(), p.log())) == pytest.approx(expected, rel=1e-5)


def test_an_empty_corpus_leaves_room_for_training_images() -> None:
    bench = bench_of(tiny_pair(Ptq()), count=0)
    assert len(bench.deviations(5, draw())) == 0
    for name in METHODS:
        assert loss_of(method(name, batch=16), bench, draw()).item() >= 0


def test_unknown_methods_and_settings_are_refused(refuses: Refuses) -> None:
    with refuses("method", "walc", "walk"):
        method("walc")
    with refuses("pushes", "distil"):
        method("walk", pushes=3)
    for bad in (
        {"lr": 0.0},
        {"steps": 0},
        {"batch": 1},
        {"optimiser": "lion"},
        {"clean": 0.99},
        {"mixed": 0.9},
        {"mixed": -0.1},
    ):
        with refuses(next(iter(bad))):
            method("walk", **bad)


def test_long_rounds_of_walk_have_more_blends_unless_shares_are_set() -> None:
    short, long = Walk().in_round(199), Walk().in_round(200)
    assert short == Walk()
    assert (long.stored, long.clean, long.mixed) == (0.05, 0.2, 0.65)
    assert Walk(mixed=0.4).in_round(200) == Walk(mixed=0.4)
    assert Distil().in_round(10_000) == Distil()


def test_the_rate_of_a_sparing_repair_grows_with_its_rounds() -> None:
    def rates(config: Schedule, *, sparing: bool) -> list[float]:
        return [config.peak(steps, sparing=sparing) for steps in (10, 700, 3500, 10_000)]

    assert rates(Walk(), sparing=False) == [5e-4] * 4
    assert rates(Walk(), sparing=True) == pytest.approx([5e-4, 2e-3, 1e-2, 1e-2])
    assert rates(Walk(lr=0.3), sparing=True) == [0.3] * 4
    assert rates(Distil(), sparing=True) == rates(Paper(), sparing=True) == [1e-3] * 4


def test_mixed_images_lie_between_training_images() -> None:
    bench = bench_of(tiny_pair(Ptq()))
    bench.images = torch.cat([torch.zeros(1, 3, 16, 16), torch.full((1, 3, 16, 16), 255.0)]).byte()
    bench.pad = 0
    mixed = bench.mixed(40, draw())
    assert (mixed.flatten(1).amin(1) == mixed.flatten(1).amax(1)).all()  # one share an image
    values = mixed[:, 0, 0, 0]
    assert 0 <= float(values.min()) < 0.3 < 0.7 < float(values.max()) <= 1
    assert int(((values > 0.05) & (values < 0.95)).sum()) > 10
