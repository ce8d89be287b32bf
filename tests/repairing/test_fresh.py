"""Fresh searches of a verdict: the same seeds and budget for both pairs."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.control import QUIET
from compd.errors import CompdError
from compd.repairing import RepairSettings
from compd.repairing.fresh import agreed_seeds, compare, search, searches_of
from compd.repairing.settings import SEARCHES

COARSE = Ptq(weight_bits=4)


def test_each_search_of_a_verdict_has_the_same_seeds_bound_and_draws() -> None:
    settings = RepairSettings(eps=12, verdict_seeds=7, random_seed=3)
    found = searches_of(settings)
    assert tuple(found) == SEARCHES
    assert {(one.eps, one.limit, one.random_seed) for one in found.values()} == {(12, 7, 104)}
    assert [name for name, one in found.items() if one.goal == "severe"] == ["boundary, severe"]
    assert searches_of(RepairSettings(searches=("pgd",), eps=1))["pgd"].eps == 1


def test_seeds_are_those_on_which_all_models_agree() -> None:
    fine, coarse, heldout = tiny_pair(), tiny_pair(COARSE), tiny_splits().heldout
    run, leaning = coarse.deployed.run, torch.tensor([0.0, 3.0, 0.0])
    coarse.deployed.run = lambda images: run(images) + leaning  # type: ignore[method-assign]
    seeds = agreed_seeds(heldout, fine, coarse)
    half = heldout.images[: len(heldout) // 2]
    with torch.no_grad():
        labels = fine.original(half.float() / 255).argmax(1)
    expected = [
        i
        for i, image in enumerate(half)
        if all(
            pair.deployed.run(image[None])[0, labels[i]] == pair.deployed.run(image[None]).max()
            for pair in (fine, coarse)
        )
    ]
    assert 0 < len(expected) < len(half)
    assert torch.equal(seeds.images, half[expected])


def test_no_seed_at_all_is_an_error() -> None:
    pair, heldout = tiny_pair(), tiny_splits().heldout
    ask = pair.deployed.run
    pair.deployed.run = lambda images: -ask(images)  # type: ignore[method-assign]
    with pytest.raises(CompdError, match="all models agree, got none"):
        agreed_seeds(heldout, pair)


def test_shares_are_of_all_seeds_by_the_worst_of_each() -> None:
    before, after, heldout = tiny_pair(COARSE), tiny_pair(), tiny_splits().heldout
    seeds = agreed_seeds(heldout, before, after)
    how = searches_of(RepairSettings(eps=16, verdict_seeds=12))["boundary, severe"]
    found = [search(pair, seeds, how, QUIET) for pair in (before, after)]
    fresh = compare("boundary, severe", found[0], found[1])
    assert fresh.seeds == 12
    for (_, findings), effective, shares in (
        (found[0], fresh.effective_before, fresh.severity_shares_before),
        (found[1], fresh.effective_after, fresh.severity_shares_after),
    ):
        worst: dict[str, float] = {}
        for one in findings:
            if one.verdict == "effective":
                worst[one.seed_row] = max(worst.get(one.seed_row, 0), one.severity)
        assert (effective.count, effective.of) == (len(worst), 12)
        for level in (0.05, 0.2, 0.5):
            assert shares[f"{level:g}"] == sum(s >= level for s in worst.values()) / 12
    assert fresh.effective_before.count > 0
