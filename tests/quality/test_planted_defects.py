"""Does the search find a defect that was put there? Budgets are stated; they are small."""

import torch
from tiny import CPU, tiny_original, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Prune
from compd.fuzz import Diva, fuzz
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


def test_a_dead_channel_is_found_within_40_seeds_of_20_steps():
    assert found(broken_pair(zero_one_channel), Diva(), 40) > 0


def test_a_layer_of_three_bits_is_found_within_40_seeds_of_20_steps():
    assert found(broken_pair(three_bit_weights), Diva(), 40) > 0


def test_nothing_is_found_where_nothing_is_broken():
    assert found(broken_pair(lambda net: None), Diva(), 40) == 0
