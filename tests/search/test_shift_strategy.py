"""The natural search: shifts of seeds, without a gradient and without a bound."""

import json

import pytest
import torch
from test_gradient_free import blind
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.corpus import Corpus, collect, minimise
from compd.errors import CompdError
from compd.report.sentence import shift_of, shifts_sentence, worst_shifts
from compd.search import Bound, Shifts, StabilityCheck, Verdict, fuzz, strategy
from compd.search.strategies import Task
from compd.search.strategies.shift import search_shifts
from compd.shifts import apply_shift, parse_shift

KINDS = "contrast+gaussian_noise+awgn:0.2"


@pytest.fixture(scope="module")
def pair():
    return blind(tiny_pair(Ptq(weight_bits=4)))


def run(pair, **how):
    campaign = fuzz(pair, tiny_splits().seeds, strategy=f"shift:kinds={KINDS}", limit=24, **how)
    return campaign, list(campaign)


def test_the_mildest_severities_of_all_kinds_come_first():
    shifts = [str(one) for one in Shifts(KINDS).shifts()]
    assert shifts[:3] == ["contrast:1", "gaussian_noise:1", "awgn:0.2"]
    assert shifts[3:5] == ["contrast:2", "gaussian_noise:2"]
    assert strategy("shift:kinds=fog:3+contrast") == Shifts("fog:3+contrast")
    with pytest.raises(CompdError, match="fogg"):
        Shifts("fogg")


def test_findings_are_shifted_seeds_that_only_the_deployed_model_mistakes(pair):
    campaign, findings = run(pair, goal="severe")
    assert findings
    for one in findings:
        again = apply_shift(parse_shift(one.shift), one.seed_image[None], random_seed=0)
        assert torch.equal(one.image, again[0])
        assert int(pair.reference.run(one.image[None]).argmax(1)) == one.seed_label
        assert int(pair.deployed.run(one.image[None]).argmax(1)) != one.seed_label
    rates = campaign.summary().shifts
    assert [one.seeds for one in rates] == [24] * 11  # all seeds under all shifts
    by_hand = {one.shift: one for one in rates}["contrast:5"]
    images = torch.stack([one.seed_image for one in findings])
    shifted = apply_shift(parse_shift("contrast:5"), images, random_seed=0)
    assert by_hand.left <= by_hand.kept <= 24
    assert by_hand.low <= by_hand.left / by_hand.kept
    kept = pair.reference.run(shifted).argmax(1) == torch.tensor([f.seed_label for f in findings])
    left = pair.deployed.run(shifted).argmax(1) != torch.tensor([f.seed_label for f in findings])
    # a seed without any finding has not left its label under any shift
    assert int((kept & left).sum()) == by_hand.left


def test_the_first_deviation_of_a_seed_is_one_of_its_mildest(pair):
    campaign, findings = run(pair)
    severe, _ = run(pair, goal="severe")
    order = [str(one) for one in Shifts(KINDS).shifts()]
    assert len({one.seed_row for one in findings}) == len(findings)
    assert {one.seed_row for one in findings} == set(severe.flipped)
    for one in findings:
        for milder in order[: order.index(one.shift)]:
            shifted = apply_shift(parse_shift(milder), one.seed_image[None], random_seed=0)
            label = int(pair.reference.run(shifted).argmax(1))
            assert label != one.seed_label or int(pair.deployed.run(shifted).argmax(1)) == label
    rates = campaign.summary().shifts
    assert rates[0].seeds == 24
    assert rates[-1].seeds == 24 - len(findings)
    assert sum(one.left for one in rates) == len(findings)


def test_no_bound_holds_it_and_kinds_that_do_not_fit_are_told(pair):
    campaign, findings = run(pair, eps=2, norm="l2")
    assert campaign.settings.eps is None
    assert max(one.linf for one in findings) > 2
    assert "shift has no bound: eps 2 is left out" in campaign.summary().notes
    grey = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    told = Task(pair, grey, torch.zeros(2), Bound(), keys=[1, 2], random_seed=0)
    proposal = next(search_shifts(Shifts("saturate+contrast"), told))
    assert proposal.shifts == ("contrast:1", "contrast:1")
    assert told.notes == ["left out, since images are grey: saturate"]
    with pytest.raises(CompdError, match="grey"):
        next(search_shifts(Shifts("saturate"), told))


def test_a_corpus_says_the_shift_and_keeps_it_whole(pair, tmp_path):
    campaign = fuzz(pair, tiny_splits().seeds, strategy=f"shift:kinds={KINDS}", limit=24)
    stored = Corpus(tmp_path / "found", create=True)
    list(collect(campaign, stored, stability=StabilityCheck(pair)))
    again = list(Corpus(tmp_path / "found"))
    assert again
    assert all(one.verdict is Verdict.EFFECTIVE and one.eps is None for one in again)
    for one in again:
        assert one.strategy["name"] == "shift"
        assert shift_of(one.strategy) == one.strategy["shift"]
        seed = stored.seed_image(one)[None]
        shifted = apply_shift(parse_shift(one.strategy["shift"]), seed, random_seed=0)
        assert torch.equal(stored.image(one), shifted[0])
    small = Corpus(tmp_path / "small", create=True)
    result = minimise(stored, small, pair)
    assert result.stored == 0
    assert len(result.left_out) == len(again)
    assert "no shift" in next(iter(result.left_out.values()))


def test_words():
    rates = [
        {"shift": "fog:3", "seeds": 10, "kept": 8, "left": 2},
        {"shift": "snow:1", "seeds": 10, "kept": 10, "left": 1},
        {"shift": "fog:5", "seeds": 10, "kept": 0, "left": 0},
    ]
    assert [one["shift"] for one in worst_shifts(rates, 9)] == ["fog:3", "snow:1"]
    assert "on 3 (16.67%), under 2 of 3 shifts" in shifts_sentence(rates, "severe")
    assert "--goal severe" in shifts_sentence(rates, "first")
    assert shift_of({"shift": "frost:3"}) == "frost (synthetic):3"
    assert shift_of({}) == ""
    assert shift_of(json.loads('{"shift": 3}')) == ""
