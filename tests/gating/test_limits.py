"""Limits on flips, on shifted rows and on a guard: what passes, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.corpus import Corpus
from compd.errors import CompdError
from compd.gating import Baseline, GateResult, Policy, gate, read_shift_limits
from compd.gating.clean import CleanRows, ShiftedRows, clean_of
from compd.gating.limits import failures_of, figures_of
from compd.gating.outputs.junit import junit
from compd.pair import Pair
from compd.pair.flips import Flips
from compd.shifts import apply_shift, parse_shift
from compd.statistics import exceeds, upper_bound

MakeResult = Callable[..., GateResult]


def leaning(far: float) -> Pair:
    """A pair whose deployed model likes its first class less."""
    pair = tiny_pair(Ptq(weight_bits=4))
    run = pair.deployed.run
    lean = torch.tensor([-far, 0.0, 0.0])
    pair.deployed.run = lambda images: run(images) + lean  # type: ignore[method-assign]
    return pair


def measured(**changes: Any) -> CleanRows:
    content: dict[str, Any] = {
        "rows": "test",
        "images": 500,
        "disagree": 0,
        "ties": 0,
        "disagree_bound": 0.006,
        "original_accuracy": 0.9,
        "deployed_accuracy": 0.9,
        "class_drops": {},
    }
    return CleanRows(**content | changes)


def test_each_limit_fails_a_bad_pair_and_passes_a_good_one(tmp_path: Path) -> None:
    policy = Policy(
        only_replay=True,
        max_negative_flips=0.05,
        max_class_negative_flips=0.05,
        max_shift_disagreement={"contrast:4": 0.5},
        guard_alpha=0.2,
        guard_min_coverage=0.5,
    )
    corpus = Corpus(tmp_path / "corpus", create=True)
    good = gate(leaning(0), corpus, Baseline(), policy=policy, splits=tiny_splits())
    assert (good.failures, good.exit_code) == ({}, 0)
    strict = Policy(
        only_replay=True,
        max_negative_flips=0.05,
        max_class_negative_flips=0.05,
        max_shift_disagreement={"contrast:4": 0.02},
        guard_alpha=0.2,
        guard_min_coverage=0.99,
    )
    bad = gate(leaning(6.0), corpus, Baseline(), policy=strict, splits=tiny_splits())
    assert bad.exit_code == 1
    assert set(bad.failures) == {
        *("max-negative-flips", "max-class-negative-flips", "max-shift-disagreement"),
        "guard-min-coverage",
    }
    assert ": red " in bad.failures["max-class-negative-flips"]
    assert "blue" not in bad.failures["max-class-negative-flips"]
    content = bad.to_json()
    assert content["clean"]["flips"]["negative"]["count"] > 0
    assert content["policy"]["max_shift_disagreement"] == {"contrast:4": 0.02}


def test_the_figures_are_those_of_the_models() -> None:
    pair, test = leaning(2.0), tiny_splits().test()
    policy = Policy(max_shift_disagreement={"gaussian_noise:3": 1}, guard_alpha=0.3)
    clean = clean_of(pair, tiny_splits(), policy)
    images = apply_shift(parse_shift("gaussian_noise:3"), test.images)
    original = pair.reference.run(images).argmax(1)
    apart = int((original != pair.deployed.run(images).argmax(1)).sum())
    (shifted,) = clean.shifted
    assert (shifted.disagree, shifted.images) == (apart, len(test))
    assert shifted.disagree_bound == upper_bound(apart, len(test))
    guard = clean.guard
    assert guard is not None
    assert guard.threshold is not None
    assert guard.images == len(test) - len(test) // 2
    assert guard.coverage == guard.accepted / guard.images
    names = [name for name, _ in figures_of(clean)]
    assert names == ["negative flips", "disagreement under gaussian_noise:3", "guard"]


def test_a_class_fails_beyond_chance_alone() -> None:
    policy = Policy(max_class_negative_flips=0.05)
    # 4 of 50 is above 5 %, and happens by chance; 12 of 50 does not, whatever else is looked at
    counts = {"cat": (4, 50), "dog": (0, 50)} | {f"c{i}": (2, 50) for i in range(8)}
    assert failures_of(measured(class_flips=counts), policy) == {}
    (said,) = failures_of(measured(class_flips=counts | {"dog": (12, 50)}), policy).values()
    assert said.endswith("dog 12 of 50")
    by_hand = sum(_binomial(k, 50, 0.05) for k in range(12, 51))
    assert exceeds(12, 50, 0.05) == pytest.approx(by_hand)
    assert exceeds(0, 50, 0.0) == 1.0
    assert exceeds(1, 50, 0.0) == 0.0


def _binomial(k: int, n: int, p: float) -> float:
    from math import comb

    return comb(n, k) * p**k * (1 - p) ** (n - k)


def test_it_is_the_bound_that_keeps_a_limit() -> None:
    flips = Flips(495, 0, 5, 0, 0)
    clean = measured(flips=flips, flips_bound=upper_bound(0, 500))
    assert failures_of(clean, Policy(max_negative_flips=0.006)) == {}
    assert "below 0.60%" in failures_of(clean, Policy(max_negative_flips=0.005)).popitem()[1]
    shifted = (ShiftedRows("fog:3", 500, 0, 0.006),)
    assert (
        failures_of(measured(shifted=shifted), Policy(max_shift_disagreement={"fog:3": 0.01})) == {}
    )


def test_without_labels_there_is_nothing_to_limit() -> None:
    clean = measured(original_accuracy=None, deployed_accuracy=None)
    with pytest.raises(CompdError, match="max-negative-flips"):
        failures_of(clean, Policy(max_negative_flips=0.1))
    assert failures_of(clean, Policy(max_natural_disagreement=0.1)) == {}


def test_limits_from_files_and_flags() -> None:
    text = b'[tool.compd.gate]\nmax-shift-disagreement = {"fog:3" = 0.02, "awgn:0.20" = 0.1}\n'
    limits = {"fog:3": 0.02, "awgn:0.2": 0.1}
    assert Policy.from_toml(text, "x") == Policy(max_shift_disagreement=limits)
    assert read_shift_limits("fog:3=0.02,awgn:.2=0.1") == limits
    assert Policy(max_shift_disagreement=limits).asks_for_clean_rows
    assert Policy(guard_alpha=0.01).asks_for_clean_rows
    assert not Policy().asks_for_clean_rows
    for wrong in ("fog=0.02", "fogg:3=0.1", "fog:3", "fog:3=2"):
        with pytest.raises(CompdError):
            read_shift_limits(wrong)
    with pytest.raises(CompdError, match="guard-alpha"):
        Policy(guard_min_coverage=0.9)
    with pytest.raises(CompdError, match="as a table"):
        Policy.from_toml(b"[tool.compd.gate]\nmax-shift-disagreement = 0.1\n", "x")


def test_each_limit_is_a_case_of_its_own(make_result: MakeResult) -> None:
    policy = Policy(max_negative_flips=0.1, max_shift_disagreement={"fog:3": 0.1}, guard_alpha=0.01)
    failures = {"guard-alpha": "no threshold"}
    text = junit(make_result(0, policy=policy, failures=failures)).decode()
    for name in ("max-negative-flips", "max-shift-disagreement", "guard-alpha"):
        assert f'name="{name}"' in text
    assert text.count("<failure") == 1
