"""Does the search find a defect that was put there? Budgets are stated; they are small."""

import pytest
import torch
from tiny import CPU, tiny_original, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Prune
from compd.fuzz import Blackbox, Boundary, Dflare, Diva, fuzz
from compd.pair import Pair


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


def found(pair: Pair, strategy: object, seeds: int) -> int:
    campaign = fuzz(pair, tiny_splits().seeds, strategy=strategy, eps=8, limit=seeds)
    list(campaign)
    return campaign.summary().seeds_effective


BREAKAGES = [zero_one_channel, three_bit_weights]


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_diva_finds_it_within_40_seeds_of_20_steps(breakage):
    assert found(broken_pair(breakage), Diva(), 40) > 0


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_the_boundary_walk_finds_it_within_8_seeds_of_8_steps(breakage):
    assert found(broken_pair(breakage), Boundary(steps=8), 8) > 0


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_blackbox_finds_it_within_8_seeds_of_60_queries(breakage):
    assert found(broken_pair(breakage), Blackbox(queries=60), 8) > 0


@pytest.mark.parametrize(
    "strategy", [Boundary(), Diva(), Blackbox(queries=60), Dflare(queries=60)], ids=str
)
def test_nothing_is_found_where_nothing_is_broken(strategy):
    assert found(broken_pair(lambda net: None), strategy, 40) == 0
