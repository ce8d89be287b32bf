"""Does the search find a defect that was put there? Budgets are stated; they are small."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CPU, tiny_original, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Prune
from compd.models.inputs import to_input
from compd.pair import Pair
from compd.runtimes import FloatRuntime
from compd.search import Blackbox, Boundary, Compd, Dflare, Diva, Pgd, fuzz

CEILING = 0.97  # quantile of what the layer gives on clean images, beyond which it saturates


def broken_pair(breakage) -> Pair:
    """The shadow (and so the deployed model) is the original with one thing broken."""
    shadow = tiny_original()
    with torch.no_grad():
        breakage(shadow.net)
    return Pair(tiny_spec(Prune()), tiny_original(), shadow, device=CPU)


def zero_one_channel(net: nn.Module) -> None:
    net.conv2.weight[3].zero_()


def three_bit_weights(net: nn.Module) -> None:
    weight = net.linear.weight
    step = weight.abs().max() / 3
    weight.copy_((weight / step).round() * step)


class Saturating(nn.Module):
    """A layer whose accumulator stops at a ceiling."""

    def __init__(self, layer: nn.Module, ceiling: float) -> None:
        super().__init__()
        self.layer, self.ceiling = layer, ceiling

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).clamp(max=self.ceiling)


def preactivations() -> torch.Tensor:
    """Of the second convolution on the clean seeds."""
    original, seen = tiny_original(), []
    original.net.bn2.register_forward_hook(lambda module, args, result: seen.append(result))
    with torch.no_grad():
        original(to_input(tiny_splits().seeds.images))
    return seen[0]


def saturating_accumulator(net: nn.Module) -> None:
    ceiling = preactivations().flatten().quantile(CEILING)
    net.bn2 = Saturating(net.bn2, float(ceiling))


def search(pair: Pair, strategy: object, seeds: int, **how: object):
    campaign = fuzz(pair, tiny_splits().seeds, strategy=strategy, limit=seeds, **{"eps": 32, **how})
    list(campaign)
    return campaign.summary()


BREAKAGES = [zero_one_channel, three_bit_weights, saturating_accumulator]


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_boundary_walk_finds_it_in_two_seeds_of_16_within_8_steps(breakage):
    summary = search(broken_pair(breakage), Boundary(steps=8), 16)
    assert summary.seeds_effective >= 2
    assert summary.gradients_per_seed <= 8


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_blackbox_finds_it_in_two_seeds_of_16_within_200_queries(breakage):
    summary = search(broken_pair(breakage), Blackbox(queries=200), 16)
    assert summary.seeds_effective >= 2
    assert summary.forwards_per_seed <= 200


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_diva_finds_it_within_40_seeds_of_20_steps(breakage):
    assert search(broken_pair(breakage), Diva(), 40).seeds_effective > 0


def test_the_ceiling_is_rarely_reached_and_hardly_shows_on_clean_images():
    pair, images = broken_pair(saturating_accumulator), tiny_splits().seeds.images
    original, deployed = (run(images).argmax(1) for run in (pair.reference.run, pair.deployed.run))
    assert float((original != deployed).float().mean()) <= 0.02
    assert not torch.equal(pair.reference.run(images), pair.deployed.run(images))


def test_blackbox_finds_a_ceiling_that_no_shadow_shows():
    """The deployed model judges, and its answers lead."""
    deployed = broken_pair(saturating_accumulator).deployed
    pair = Pair(tiny_spec(Prune()), tiny_original(), None, device=CPU, deployed=deployed)
    assert search(pair, Blackbox(queries=200), 16).seeds_effective >= 2


SEARCHES = [
    Boundary(steps=6, climbs=2),
    Compd(steps=3, coverage="neuron"),
    Diva(steps=4),
    Pgd(steps=4),
    Blackbox(queries=60),
    Dflare(queries=40),
]
BOUNDS = st.sampled_from(
    [
        {"eps": None},
        {"eps": 1},
        {"eps": 16},
        {"eps": 255},
        {"eps": 40, "norm": "l2"},
        {"eps": 2000, "norm": "l2"},
    ]
)


@pytest.mark.parametrize("strategy", SEARCHES, ids=lambda s: type(s).__name__)
@given(
    bound=BOUNDS, goal=st.sampled_from(["first", "severe"]), random_seed=st.integers(0, 2**63 - 1)
)
@settings(max_examples=5)
def test_nothing_is_ever_found_where_nothing_is_broken(strategy, bound, goal, random_seed):
    original = tiny_original()
    deployed = FloatRuntime(copy.deepcopy(original).requires_grad_(False), CPU)
    pair = Pair(tiny_spec(Prune()), original, original, device=CPU, deployed=deployed)
    summary = search(pair, strategy, 6, goal=goal, random_seed=random_seed, **bound)
    assert summary.seeds == 6
    assert summary.forwards_per_seed > 0
    assert summary.images_effective == summary.seeds_effective == summary.seeds_set_aside == 0
