"""How far a round goes from where it started to where it came to."""

from __future__ import annotations

import copy

import torch
from tiny import tiny_pair, tiny_splits
from torch import nn

from compd.compress import Prune, Ptq
from compd.pair import Pair
from compd.repairing.interpolation import Interpolation, interpolated
from compd.repairing.selection import Watch

BACK = [1.0, 0.75, 0.5, 0.25]


def start() -> tuple[Pair, dict[str, torch.Tensor], nn.Module, Watch]:
    """A pair, its weights, and the same model with every weight a little larger."""
    pair = tiny_pair(Ptq(weight_bits=6))
    before = {key: value.clone() for key, value in pair.shadow.state_dict().items()}
    trained = copy.deepcopy(pair.shadow)
    with torch.no_grad():
        for weight in trained.parameters():
            weight.mul_(1.1)
    return pair, before, trained, Watch.of(pair, tiny_splits().selection)


def go(accept: set[int]) -> tuple[Interpolation, int]:
    """Interpolate where the asked positions of a call keep what they have to keep."""
    pair, before, trained, watch = start()
    asked = []

    def keeps(untouched: object) -> bool:
        asked.append(untouched)
        return len(asked) - 1 in accept

    made = interpolated(pair, before, trained, watch, keeps=keeps, left=lambda pair: 1.0)
    return made, len(asked)


def test_the_trained_weights_where_they_keep_accuracy() -> None:
    made, asked = go({0})
    assert made.share == 1.0
    assert asked == 1


def test_back_as_far_as_it_takes() -> None:
    for position in (1, 2, 3):
        made, asked = go({position})
        assert made.share == BACK[position]
        assert asked == position + 1


def test_the_trained_weights_if_nothing_between_will_do() -> None:
    made, asked = go(set())
    assert made.share == 1.0
    assert asked == 4


def test_weights_lie_between_and_no_model_is_changed() -> None:
    pair, before, trained, watch = start()
    kept = {key: value.clone() for key, value in trained.state_dict().items()}
    calls = iter([False, False, True])
    made = interpolated(
        pair, before, trained, watch, keeps=lambda _: next(calls), left=lambda _: 1.0
    )
    assert made.share == 0.5
    weights = made.pair.shadow.state_dict()
    for key, _ in trained.named_parameters():
        assert torch.allclose(weights[key], (before[key] + kept[key]) / 2, atol=1e-6)
    assert all(torch.equal(value, kept[key]) for key, value in trained.state_dict().items())
    assert all(torch.equal(value, before[key]) for key, value in pair.shadow.state_dict().items())


def test_a_sparing_repair_goes_no_further_than_it_has_to() -> None:
    pair = tiny_pair(Prune(amount=0.5, epochs=1))
    before = {key: value.clone() for key, value in pair.shadow.state_dict().items()}
    trained = copy.deepcopy(pair.shadow)
    watch = Watch.of(pair, tiny_splits().selection)
    gone = iter([0.5, 0.05])  # deviations left at 25 % and at 50 % of the way
    made = interpolated(
        pair, before, trained, watch, keeps=lambda _: True, left=lambda _: next(gone)
    )
    assert made.share == 0.5
