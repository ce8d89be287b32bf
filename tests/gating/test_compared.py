"""A pair against the record of the accepted one's search: no worse is green, worse is red."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_original, tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.corpus import Corpus, collect
from compd.errors import InputError
from compd.gating import (
    Baseline,
    GateResult,
    Policy,
    SearchRecord,
    Status,
    accept,
    against_record,
    baseline_of,
    gate,
    record_search,
)
from compd.gating.compared import comparable, margin_of
from compd.gating.record import Seed, path_of, record_of, rows_of
from compd.gating.search import search, settings_for, settings_like
from compd.pair import Pair
from compd.search import Campaign, SearchSettings

HOW = {"strategy": {"name": "boundary"}, "eps": 8, "norm": "linf", "goal": "severe"}
POLICY = Policy(seeds=30)


def seeds(severities: list[float], flip: str = "a → b") -> tuple[Seed, ...]:
    return tuple(
        Seed(f"{at:064x}", f"all[{at}]", float(one), flip if one else "")
        for at, one in enumerate(severities)
    )


def record(severities: list[float]) -> SearchRecord:
    return SearchRecord({**HOW, "random_seed": 0}, "d" * 64, "0" * 64, seeds(severities))


def noisy(mean: float, spread: float, draw: int, count: int = 50) -> list[float]:
    drawn = np.random.default_rng(draw).normal(mean, spread, count)
    return [round(float(one), 6) for one in np.clip(drawn, 0, 1)]


@pytest.mark.parametrize(("mean", "spread"), [(0.03, 0.03), (0.4, 0.15), (0.7, 0.2), (0.0, 0.0)])
def test_another_draw_of_the_same_is_no_worse(mean: float, spread: float) -> None:
    before = record(noisy(mean, spread, 0))
    found = [
        against_record(before, seeds(noisy(mean, spread, draw)), Policy()) for draw in range(1, 21)
    ]
    assert sum(not one.holds for one in found) <= 1
    assert against_record(before, before.seeds, Policy()).describe().count("seeds") == 1


@pytest.mark.parametrize(("mean", "spread"), [(0.03, 0.03), (0.4, 0.2)])
def test_a_rise_over_all_seeds_is_worse_and_names_seeds(mean: float, spread: float) -> None:
    before = record(noisy(mean, spread, 0))
    now = seeds(noisy(mean + 0.2, spread, 1))
    found = against_record(before, now, Policy())
    assert found.risen
    assert found.chance < 0.01
    assert found.worse == tuple(sorted(found.worse, key=lambda one: -one.rise))
    assert all(one.rise > 0.1 for one in found.worse)


def test_one_seed_far_above_its_record_is_worse() -> None:
    quiet = [0.05] * 49 + [0.0]
    found = against_record(record(quiet), seeds([0.05] * 49 + [0.5]), Policy())
    assert [one.seed.row for one in found.worse] == ["all[49]"]
    assert not found.risen
    assert found.margin == pytest.approx(0.15)
    loud = [0.6] * 50  # among severe ones, one more is nothing new
    assert against_record(record(loud), seeds([0.6] * 49 + [1.0]), Policy()).holds
    assert against_record(record(quiet), seeds([0.05] * 50), Policy()).holds


def test_another_flip_counts_from_nothing_if_the_record_has_it_nowhere() -> None:
    before = record([0.3] * 20)
    now = list(seeds([0.45] * 20))
    now[3] = replace(now[3], flip="a → c")
    policy = Policy(max_severity_rise=0.1)
    found = against_record(before, [*before.seeds[:3], now[3], *before.seeds[4:]], policy)
    assert found.new_flips == ("a → c",)
    assert [one.flip for one in found.worse] == ["a → c"]


def test_what_the_policy_does_not_count_makes_no_pair_worse() -> None:
    found = against_record(record([0.0] * 50), seeds([0.18] * 50), Policy(min_severity=0.2))
    assert found.holds
    assert found.mean_now == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_a_pair_is_no_worse_than_itself_and_a_record_is_read_as_written(
    severities: list[float],
) -> None:
    one = record([round(value, 6) for value in severities])
    assert against_record(one, one.seeds, Policy()).holds
    assert SearchRecord.parse(one.to_bytes(), "search.jsonl") == one
    assert 0 <= margin_of(one, Policy()) <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b'{"how": 1, "deployed": "d", "original": "o"}\n',
        b'{"how": {}, "deployed": "d", "original": "o"}\n{"seed": "x"}\n',
        b'{"how": {}, "deployed": "d", "original": "o"}\n'
        + json.dumps({"seed": "0" * 64, "severity": 2, "row": "", "flip": ""}).encode(),
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_broken_record_is_one_line(data: bytes) -> None:
    with pytest.raises(InputError, match=r"expected a record .* line \d") as raised:
        SearchRecord.parse(data, "search.jsonl")
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, Corpus, Path]:
    """A pair and the corpus of a search from few seeds, all accepted; and its search on record."""
    pair = tiny_pair(Ptq())
    corpus = Corpus(tmp_path_factory.mktemp("gate") / "corpus", create=True)
    settings = SearchSettings(limit=6, eps=16)
    assert sum(collect(Campaign(pair, tiny_splits().seeds, settings), corpus))
    path = baseline_of(corpus.directory)
    accept(corpus, path, "known")
    record_search(pair, corpus, path, tiny_splits(), POLICY)
    return pair, corpus, path


def passes(accepted: tuple[Pair, Corpus, Path], pair: Pair, policy: Policy = POLICY) -> GateResult:
    _, corpus, path = accepted
    return gate(
        pair,
        corpus,
        Baseline.load(path),
        policy=policy,
        splits=tiny_splits(),
        record=SearchRecord.load(path),
    )


def test_the_accepted_pair_passes_with_what_its_corpus_does_not_have(
    accepted: tuple[Pair, Corpus, Path],
) -> None:
    pair, corpus, path = accepted
    result = passes(accepted, pair)
    assert (result.exit_code, result.verdict) == (0, "clean")
    assert result.counts[Status.RECORDED] > len(corpus)
    assert result.compared is not None
    assert result.compared.mean_now == result.compared.mean_before > 0
    # without a record, all of that is new
    old = gate(pair, corpus, Baseline.load(path), policy=POLICY, splits=tiny_splits())
    assert old.exit_code == 1
    assert "no record" in old.notes[0]


def calibrated_elsewhere(seed: int) -> Pair:
    from tiny import calibrated_shadow

    images = tiny_splits().train.images
    rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:48]
    pair = tiny_pair(Ptq())
    return pair.with_shadow(calibrated_shadow(Ptq(), tiny_original(), images[rows]))


def test_other_calibrations_pass(accepted: tuple[Pair, Corpus, Path]) -> None:
    results = [passes(accepted, calibrated_elsewhere(seed)) for seed in range(4)]
    assert sum(result.exit_code != 0 for result in results) == 0
    assert any(result.counts[Status.STALE] for result in results)  # they are other models


def test_a_planted_defect_is_red_and_names_its_seeds(accepted: tuple[Pair, Corpus, Path]) -> None:
    pair, _, _ = accepted
    shadow = copy.deepcopy(pair.shadow)
    weights = [one for _, one in shadow.named_parameters() if one.ndim == 4]
    with torch.no_grad():
        weights[-1][: len(weights[-1]) // 2] = 0  # half of the channels are dead
    result = passes(accepted, pair.with_shadow(shadow))
    assert result.exit_code == 1
    assert "search-record" in result.failures
    assert result.verdict == "worse than what was accepted"
    assert result.compared is not None
    named = {one.seed.sha256 for one in result.compared.worse}
    new = [one for one in result.deviations if one.found == "search" and one.status is Status.NEW]
    assert {one.record.seed_sha256 for one in new} <= named
    assert named


def test_a_record_that_does_not_fit_is_told_and_not_used(
    accepted: tuple[Pair, Corpus, Path],
) -> None:
    _, _, path = accepted
    kept = SearchRecord.load(path)
    assert kept is not None
    split = tiny_splits().seeds
    assert comparable(kept, split, POLICY)[0] is not None
    assert "another eps" in comparable(kept, split, replace(POLICY, eps=3))[1][0]
    assert "another random_seed" in comparable(kept, split, replace(POLICY, random_seed=1))[1][0]
    assert "not among the images" in comparable(kept, split.first(2), POLICY)[1][0]
    few, _ = comparable(kept, split, replace(POLICY, seeds=5))
    assert few is not None
    assert len(few.rows) == len(few.record.seeds) == 5
    rows, known = rows_of(kept, split)
    assert [split.row(int(row)) for row in rows] == [kept.seeds[at].row for at in known]


def test_the_record_lies_beside_its_baseline(tmp_path: Path) -> None:
    assert path_of(tmp_path / "baseline.txt") == tmp_path / "search.jsonl"
    assert path_of(tmp_path / "next.txt") == tmp_path / "next-search.jsonl"
    assert SearchRecord.load(tmp_path / "baseline.txt") is None


def test_a_dead_model_is_worse_though_nothing_that_it_does_is_severe() -> None:
    before = record([0.0] * 38 + [0.2, 0.1])
    dead = [replace(one, severity=0.0, untouched=True) for one in before.seeds[:30]]
    result = against_record(before, (*dead, *before.seeds[30:]), Policy())
    assert (result.parted, result.together) == (30, 0)
    assert result.risen
    assert not result.holds
    assert {one.seed for one in result.worse} == set(before.seeds[:30])
    assert "differ on 30 seeds on which they agreed" in result.describe()


def test_differing_on_a_few_more_or_on_others_is_chance() -> None:
    before = record([0.0] * 40)
    old = [replace(one, untouched=i in (0, 1)) for i, one in enumerate(before.seeds)]
    new = [replace(one, untouched=i in (1, 2, 3, 4)) for i, one in enumerate(before.seeds)]
    result = against_record(replace(before, seeds=tuple(old)), new, Policy())
    assert (result.parted, result.holds) == (0, True)


def test_an_older_record_does_not_say_what_differed_untouched() -> None:
    before = record([0.0] * 40)
    head, *lines = before.to_bytes().decode().splitlines()
    content = json.loads(head)
    del content["untouched"]
    old = SearchRecord.parse("\n".join([json.dumps(content), *lines]).encode(), "search.jsonl")
    assert not old.tells_untouched
    dead = [replace(one, untouched=True) for one in before.seeds]
    assert against_record(old, dead, Policy()).holds


def test_wrong_seeds_stay_aside_in_the_gate(tmp_path: Path) -> None:
    pair, splits = tiny_pair(Ptq()), tiny_splits()
    labels = pair.reference.run(splits.seeds.images).argmax(1)
    wrong = torch.arange(len(labels)) % 2 == 0
    split = replace(splits.seeds, labels=torch.where(wrong, (labels + 1) % 3, labels))
    corpus = Corpus(tmp_path / "corpus", create=True)
    settings = SearchSettings(limit=6, eps=16, wrong_seeds="aside")
    assert sum(collect(Campaign(pair, split, settings), corpus))
    used = settings_for(POLICY, corpus)
    assert used.wrong_seeds == "aside"
    searched = search(pair, split, used)
    right = {split.row(i) for i in range(len(split)) if not wrong[i]}
    assert {seed.row for seed in searched.seeds if not seed.untouched} <= right
    assert len([seed for seed in searched.seeds if not seed.untouched]) == searched.summary.seeds
    record = record_of(searched.how, {"deployed": "d" * 64, "original": "0" * 64}, searched.seeds)
    again = SearchRecord.parse(record.to_bytes(), "search.jsonl")
    assert settings_like(again.how, POLICY).wrong_seeds == "aside"
    assert again.differs(searched.how) == []
    # records and corpora from before know nothing of it
    old = replace(again, how={key: v for key, v in again.how.items() if key != "wrong_seeds"})
    assert old.differs(searched.how) == ["wrong_seeds"]
    assert settings_like(old.how, POLICY).wrong_seeds == "keep"
