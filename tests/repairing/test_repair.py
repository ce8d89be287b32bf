"""The loop end to end on a tiny pair: what it changes, keeps, resumes and refuses."""

from __future__ import annotations

import json
import math
import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_pair, tiny_splits, untrained
from torch import nn

from compd.compress import Distilled, Prune, Ptq, Qat
from compd.control import Control, Progress
from compd.corpus import Corpus, Record
from compd.data import Splits
from compd.errors import Stopped
from compd.files.storage import cache_dir
from compd.models import model_hash
from compd.models.inputs import predict
from compd.pair import Pair
from compd.repairing import Distil, Paper, RepairResult, Walk, plan, repair
from compd.repairing.rounds import shortened
from compd.repairing.selection import Seen, best_of, bound_of_searches
from compd.repairing.settings import RepairSettings
from compd.repairing.training_set import training_set_of
from compd.search import Judge

STUDENT = Distilled(student="lenet1", width=4, epochs=3, lr=0.05, batch=32)

MakeCorpus = Callable[..., tuple[Pair, Corpus]]
Refuses = Callable[..., Any]

QUICK: dict[str, Any] = {
    "method": Walk(steps=20, batch=32, lr=1e-2),
    "rounds": 1,
    "seeds": 10,
    "verdict_seeds": 10,
    "eps": 16,
    "searches": ("pgd",),
    "splits": tiny_splits(),
    "max_accuracy_drop": 1.0,
}


Repaired = Callable[[Any], tuple[Pair, Corpus, RepairResult]]


@pytest.fixture(scope="module")
def repaired(searched: Callable[[Any], Path], tmp_path_factory: pytest.TempPathFactory) -> Repaired:
    """``repaired(compression)``: a pair, its corpus, and its quick repair, once for all tests."""

    @cache
    def make(config: Any) -> tuple[Pair, Corpus, RepairResult]:
        pair, corpus = tiny_pair(config), Corpus(searched(config))
        out = tmp_path_factory.mktemp("repaired") / "out"
        return pair, corpus, repair(pair, corpus, out=out, **QUICK)

    return make


def poisoned(*names: str, labels_only: bool = False) -> Splits:
    """The tiny splits with other images and labels in the named ones."""
    splits = Splits(tiny_splits().dataset)
    for name in names:
        split = getattr(splits, name)
        generator = torch.Generator().manual_seed(9)
        images = torch.randint(0, 256, split.images.shape, generator=generator).to(torch.uint8)
        images = split.images if labels_only else images
        setattr(splits, name, replace(split, images=images, labels=split.labels.flip(0)))
    return splits


def test_a_repair_writes_a_pair_that_deviates_less(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus()
    before = dict(pair.hashes)
    how = {**QUICK, "method": Walk(steps=80, batch=48, lr=1e-2), "max_accuracy_drop": 0.02}
    told: dict[str, Progress] = {}
    control = Control(lambda p: told.update({p.stage: p}))
    result = repair(pair, corpus, out=tmp_path / "out", control=control, **how)
    assert all(told[stage].done == told[stage].total for stage in ("verdict", "attacking"))
    assert pair.hashes == before
    assert (result.rounds, result.best_round) == (1, 1)
    assert result.seen[1].severity < result.seen[0].severity
    assert result.corpus_effective_before == result.entries == len(corpus)
    assert result.corpus_effective_after < 0.8 * len(corpus)
    assert result.heldout_effective_before > 0
    assert result.heldout_effective_after < result.heldout_effective_before
    fixed = Pair.load(result.pair)
    assert fixed.hashes["original"] == before["original"]
    assert fixed.hashes["deployed"] != before["deployed"]
    labels = torch.tensor([record.seed_label for record in corpus])
    images = torch.stack([corpus.image(record) for record in corpus])
    assert (
        int(Judge(fixed).confirm(images, labels).effective.sum()) == result.corpus_effective_after
    )
    assert "corpus entries" in fixed.spec.rows["repair training"]
    assert result.rows["verdict"] == tiny_splits().heldout.rows


def test_a_result_survives_json(repaired: Repaired) -> None:
    _, _, result = repaired(Ptq(weight_bits=4))
    assert RepairResult.from_json(json.loads(json.dumps(result.to_json()))) == result
    content = result.to_json()
    wanted = (
        "accuracy_original accuracy_before accuracy_after natural_before natural_after fixed "
        "stubborn new heldout_effective_before heldout_effective_after fresh_seeds "
        "fresh_effective_before fresh_effective_after severity_shares_before "
        "severity_shares_after kl_before kl_after rounds best_round seconds pair fingerprint"
    )
    assert set(wanted.split()) <= content.keys()
    assert content["severity_shares_before"].keys() == {"0.05", "0.2", "0.5"}
    clean = result.clean
    assert clean.natural_before.count == clean.fixed.count + clean.stubborn.count
    assert clean.natural_after.count == clean.new.count + clean.stubborn.count


@pytest.mark.parametrize(
    "method",
    [Paper(steps=12), pytest.param(Distil(steps=12), marks=pytest.mark.slow), QUICK["method"]],
)
def test_masks_hold_exactly(repaired: Repaired, tmp_path: Path, method: Any) -> None:
    pair, corpus, result = repaired(Prune(epochs=1))
    if method != QUICK["method"]:
        result = repair(pair, corpus, out=tmp_path / "out", **{**QUICK, "method": method})
    fixed = Pair.load(result.pair)
    changed = 0
    for (name, was), now in zip(pair.shadow.named_modules(), fixed.shadow.modules(), strict=True):
        if isinstance(was, nn.Conv2d):
            assert torch.equal(was.weight == 0, now.weight == 0), name
            changed += int((was.weight != now.weight).sum())
        if isinstance(was, nn.BatchNorm2d):
            assert torch.equal(was.running_mean, now.running_mean)
    assert changed > 0 or result.best_round == 0


@pytest.mark.slow
def test_a_round_that_costs_accuracy_goes_back_towards_its_start(
    make_corpus: MakeCorpus, tmp_path: Path, one_thread: None
) -> None:
    pair, corpus = make_corpus(Prune(epochs=1))
    rough = {**QUICK, "method": Walk(steps=40, batch=32, lr=0.1), "keep": "last"}
    start, end = repair(pair, corpus, out=tmp_path / "all", **rough).seen
    assert end.blend == 1
    assert end.accuracy < start.accuracy
    careful = {**rough, "keep": "best", "max_accuracy_drop": 0.0}
    start, part = repair(pair, corpus, out=tmp_path / "part", **careful).seen
    assert part.blend in (0.75, 0.5, 0.25)
    assert part.accuracy >= start.accuracy
    blended = Pair.load(tmp_path / "part").shadow.state_dict()
    trained = Pair.load(tmp_path / "all").shadow.state_dict()
    for name, before in pair.shadow.state_dict().items():
        if before.is_floating_point():
            between = torch.lerp(before, trained[name], part.blend)
            torch.testing.assert_close(blended[name], between)


@pytest.mark.parametrize(
    ("severity", "eps", "smaller"),
    [(0.5, 8, None), (0.95, 8, 4), (0.95, 3, 1), (0.95, 1, None), (0.95, None, 8)],
)
def test_rounds_are_told_apart_within_a_bound_that_is_not_too_easy(
    severity: float, eps: int | None, smaller: int | None
) -> None:
    seen = Seen(
        round=0,
        accuracy=1.0,
        natural=0.0,
        fixed=0,
        new=0,
        effective=1.0,
        severe=1.0,
        severity=severity,
    )
    assert bound_of_searches(seen, eps) == smaller


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(Ptq(), marks=pytest.mark.slow),
        Ptq(weight_bits=4),
        Qat(),
        Prune(epochs=1),
        pytest.param(STUDENT, marks=pytest.mark.slow),
    ],
)
def test_what_ships_is_what_the_shadow_says(repaired: Repaired, config: Any) -> None:
    _, _, result = repaired(config)
    fixed = Pair.load(result.pair)
    assert fixed.hashes["deployed"] == result.fingerprint["deployed_sha256"]
    images = tiny_splits().heldout.images
    with torch.inference_mode():
        shadow = fixed.shadow(images.float() / 255)
    assert float((shadow - fixed.deployed.run(images)).abs().max()) < 0.3


@pytest.mark.slow
def test_nothing_trains_on_selection_or_heldout_rows_or_on_true_labels(
    make_corpus: MakeCorpus, tmp_path: Path, one_thread: None
) -> None:
    pair, corpus = make_corpus()
    how = {**QUICK, "keep": "last"}  # whatever these rows say of it
    hashes = []
    others = (poisoned("heldout"), poisoned("selection"), poisoned("train", labels_only=True))
    for i, splits in enumerate((tiny_splits(), *others)):
        result = repair(pair, corpus, out=tmp_path / str(i), **{**how, "splits": splits})
        assert result.best_round == 1
        hashes.append(model_hash(Pair.load(result.pair).shadow))
    assert len(set(hashes)) == 1
    poisoned_train = repair(
        pair, corpus, out=tmp_path / "train", **{**how, "splits": poisoned("train")}
    )
    assert model_hash(Pair.load(poisoned_train.pair).shadow) != hashes[0]


@pytest.mark.slow
def test_the_choice_among_rounds_does_not_look_at_heldout_rows(
    make_corpus: MakeCorpus, tmp_path: Path, one_thread: None
) -> None:
    pair, corpus = make_corpus()
    seen = []
    for i, splits in enumerate((tiny_splits(), poisoned("heldout"))):
        shutil.rmtree(cache_dir() / "repairs", ignore_errors=True)
        seen.append(repair(pair, corpus, out=tmp_path / str(i), **{**QUICK, "splits": splits}).seen)
    assert seen[0] == seen[1]


@pytest.mark.slow
def test_what_it_starts_from_is_chosen_once(
    make_corpus: MakeCorpus, tmp_path: Path, one_thread: None
) -> None:
    pair, corpus = make_corpus(Qat())
    how = {**QUICK, "rounds": 2, "target": None}
    whole = repair(pair, corpus, out=tmp_path / "whole", **how)

    def run(stage: str, searches: int) -> int:
        """Run until a stage is reached, after so many searches; how many there were."""
        begun, before = [], [math.inf]

        def interrupt(progress: Progress) -> None:
            if progress.stage == "searching":
                if progress.done <= before[-1]:
                    begun.append(progress)
                before.append(progress.done)
            if progress.stage.startswith(stage) and len(begun) >= searches:
                control.stop()

        control = Control(interrupt)
        with pytest.raises(Stopped):
            repair(pair, corpus, out=tmp_path / "cut", control=control, **how)
        return len(begun)

    run("searching", 2)  # while others are searched that it could start from
    run("repairing, round 1", 0)
    assert run("repairing, round 1", 0) == 0  # it goes on with what it had chosen
    rest = repair(pair, corpus, out=tmp_path / "cut", **how)
    same = {"pair": "", "seconds": 0.0, "notes": (), "fingerprint": {}}
    assert replace(rest, **same) == replace(whole, **same)
    assert model_hash(Pair.load(rest.pair).shadow) == model_hash(Pair.load(whole.pair).shadow)


TWO_ROUNDS = {**QUICK, "rounds": 2, "target": None}


@pytest.fixture(scope="module")
def whole(
    searched: Callable[[Any], Path], tmp_path_factory: pytest.TempPathFactory
) -> RepairResult:
    """A repair of two rounds that nobody interrupted, on one thread."""
    coarse = Ptq(weight_bits=4)
    out, threads = tmp_path_factory.mktemp("whole") / "out", torch.get_num_threads()
    torch.set_num_threads(1)
    result = repair(tiny_pair(coarse), Corpus(searched(coarse)), out=out, **TWO_ROUNDS)
    torch.set_num_threads(threads)
    return result


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["early", "late", "between"])
def test_an_interrupted_repair_ends_as_one_that_was_not(
    make_corpus: MakeCorpus, whole: RepairResult, tmp_path: Path, one_thread: None, moment: str
) -> None:
    pair, corpus = make_corpus()
    how = TWO_ROUNDS
    stages = {
        "early": ["repairing, round 1"],
        "late": ["repairing, round 2"],
        "between": ["repairing, round 1", "searching"],  # what was trained has to be saved by then
    }[moment]

    def interrupt(progress: Progress) -> None:
        if stages and progress.stage.startswith(stages[0]):
            stages.pop(0)
        if not stages:
            control.stop()

    control = Control(interrupt)
    with pytest.raises(Stopped):
        repair(pair, corpus, out=tmp_path / "cut", control=control, **how)
    assert list((cache_dir() / "repairs").iterdir())
    told: list[Progress] = []
    rest = repair(pair, corpus, out=tmp_path / "cut", control=Control(told.append), **how)
    again = any(progress.stage.startswith("repairing, round 1") for progress in told)
    assert again == (moment == "early")
    assert not list((cache_dir() / "repairs").iterdir())
    assert any("went on" in note for note in rest.notes)
    same = {"pair": "", "seconds": 0.0, "notes": (), "fingerprint": {}}
    assert replace(rest, **same) == replace(whole, **same)
    assert model_hash(Pair.load(rest.pair).shadow) == model_hash(Pair.load(whole.pair).shadow)


def test_a_torn_state_file_means_starting_over(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus()
    states = cache_dir() / "repairs"
    control = Control(lambda p: control.stop() if any(states.glob("*.state")) else None)
    with pytest.raises(Stopped):
        repair(pair, corpus, out=tmp_path / "out", control=control, **QUICK)
    for file in states.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert repair(pair, corpus, out=tmp_path / "out", **QUICK).rounds == 1


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_learning_rate_that_diverges_is_caught(
    make_corpus: MakeCorpus, tmp_path: Path, keep: str
) -> None:
    pair, corpus = make_corpus()
    how = {**QUICK, "method": Walk(steps=60, batch=16, lr=50.0, optimiser="sgd"), "keep": keep}
    result = repair(pair, corpus, out=tmp_path / "out", **how)
    assert result.best_round == 0
    assert result.seen[1] == replace(result.seen[0], round=1, diverged=True)
    assert any("diverged" in note for note in result.notes)
    assert model_hash(Pair.load(result.pair).shadow) == pair.hashes["shadow"]


def test_if_nothing_is_better_the_start_comes_back(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus(Ptq(activation_bits=8))
    result = repair(
        pair, corpus, out=tmp_path / "out", **{**QUICK, "method": Walk(steps=1, lr=1e-12)}
    )
    assert result.best_round == 0
    assert Pair.load(result.pair).hashes == pair.hashes
    assert any("start" in note for note in result.notes)
    assert result.natural_before == result.natural_after


@pytest.mark.parametrize(
    ("rounds", "best"),
    [
        ([(0.9, 0, 0, 0.5)], 0),
        ([(0.9, 0, 0, 0.5), (0.9, 1, 1, 0.4), (0.9, 1, 2, 0.3)], 2),
        ([(0.9, 0, 0, 0.5), (0.8, 0, 0, 0.1), (0.9, 0, 9, 0.1)], 0),  # accuracy, agreement lost
        ([(0.9, 0, 0, 0.5), (0.9, 0, 0, 0.499)], 0),  # no more than luck
        ([(0.9, 0, 0, 0.5), (0.9, 0, 0, 0.4), (0.9, 0, 0, 0.4)], 1),  # a tie goes to the earlier
    ],
)
def test_the_mildest_round_that_loses_nothing_is_kept(
    rounds: list[tuple[float, int, int, float]], best: int
) -> None:
    seen = [
        Seen(
            round=i, accuracy=a, natural=0.1, fixed=f, new=n, effective=1.0, severe=1.0, severity=s
        )
        for i, (a, f, n, s) in enumerate(rounds)
    ]
    assert best_of(seen, RepairSettings()) == best
    assert best_of(seen, RepairSettings(keep="last")) == len(rounds) - 1
    for settings in (
        RepairSettings(),
        RepairSettings(keep="last"),
    ):  # what diverged counts as never run
        diverged = replace(seen[-1], round=len(seen), severity=0.0, diverged=True)
        assert best_of([*seen, diverged], settings) == best_of(seen, settings)


def test_the_time_budget_ends_the_rounds(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus()
    how = {**QUICK, "seconds": 1.0, "rounds": 50, "patience": 50, "target": None}
    result = repair(pair, corpus, out=tmp_path / "out", **how)
    assert result.rounds < 50


def test_a_round_that_is_slower_than_planned_ends_in_time(
    make_corpus: MakeCorpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, corpus = make_corpus()
    monkeypatch.setattr("compd.repairing.rounds.step_seconds", lambda *_: 1e-5)
    told: list[Progress] = []
    how = {**QUICK, "method": Walk(batch=32, lr=1e-2), "seconds": 3.0, "save_every": 0.0}
    repair(pair, corpus, out=tmp_path / "out", control=Control(told.append), **how)
    training = [one for one in told if one.stage.startswith("repairing")]
    assert training[0].total > 10_000  # hours
    assert training[-1].done == training[-1].total < 10_000


@given(step=st.integers(0, 99), left=st.floats(-1e3, 1e3), pace=st.floats(1e-3, 1e3))
def test_shortened_rounds_fit(step: int, left: float, pace: float) -> None:
    steps = shortened(step, 100, left, pace)
    assert step < steps <= 100
    assert steps == step + 1 or (steps - step) * pace <= left + 1e-6
    assert steps == 100 or (steps + 1 - step) * pace > left - 1e-6


def test_a_plan_changes_nothing(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus()
    before = dict(pair.hashes)
    how = {key: value for key, value in QUICK.items() if key != "searches"}
    planned = plan(pair, corpus, **how)
    assert (planned.entries, planned.rounds, planned.steps) == (len(corpus), 1, 20)
    assert planned.seconds > 0
    assert tiny_pair(Ptq(weight_bits=4)).hashes == pair.hashes == before


@pytest.mark.parametrize(("seconds", "steps"), [(1e-6, 10), (1e6, 20)])
def test_steps_are_a_limit_where_time_is_the_budget(
    make_corpus: MakeCorpus, seconds: float, steps: int
) -> None:
    pair, corpus = make_corpus()
    how = {key: value for key, value in QUICK.items() if key != "searches"}
    assert plan(pair, corpus, **how, seconds=seconds).steps == steps


def test_data_that_are_not_the_pairs_are_said(make_corpus: MakeCorpus) -> None:
    pair, corpus = make_corpus()
    changed = Splits(replace(tiny_splits().dataset, identity="tiny with one image more"))
    for splits, said in ((tiny_splits(), False), (changed, True)):
        notes = plan(pair, corpus, splits=splits).notes
        assert any("held out" in note for note in notes) == said


def test_all_of_the_corpus_is_judged(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    pair, corpus = make_corpus()
    result = repair(pair, corpus, out=tmp_path / "out", limit=3, **QUICK)
    assert result.entries == 3 < len(corpus) == result.corpus_effective_before


def test_the_original_labels_what_another_one_has_found(make_corpus: MakeCorpus) -> None:
    pair, corpus = make_corpus()
    other = Pair(pair.spec, untrained(), pair.shadow, device=pair.device)
    training_set = training_set_of(corpus, other, tiny_splits(), RepairSettings(force=True))
    seeds = torch.stack([corpus.seed_image(record) for record in corpus])
    assert torch.equal(training_set.labels, predict(other.reference.run, seeds).argmax(1))
    stored = torch.tensor([record.seed_label for record in corpus])
    assert not torch.equal(training_set.labels, stored)
    own = training_set_of(corpus, pair, tiny_splits(), RepairSettings())
    assert torch.equal(own.labels, stored)


def test_labels_that_the_pair_does_not_have_are_left_out(
    make_corpus: MakeCorpus, refuses: Refuses
) -> None:
    pair, corpus = make_corpus()

    class Mislabelled(Corpus):
        def __iter__(self) -> Iterator[Record]:
            return iter([replace(record, seed_label=3) for record in super().__iter__()])

    with refuses("none that may be used", "labels are not of the pair's 3 classes"):
        training_set_of(Mislabelled(corpus.directory), pair, tiny_splits(), RepairSettings())


@pytest.mark.slow
def test_another_pairs_corpus_is_refused_without_force(
    make_corpus: MakeCorpus, tmp_path: Path, refuses: Refuses
) -> None:
    pair, corpus = make_corpus()
    other = tiny_pair(Ptq())
    with refuses("deployed", pair.hashes["deployed"][:12], "--force"):
        repair(other, corpus, out=tmp_path / "out", **QUICK)
    result = repair(other, corpus, out=tmp_path / "out", force=True, **QUICK)
    assert result.entries == len(corpus)


def test_entries_from_reserved_rows_are_left_out(
    make_corpus: MakeCorpus, tmp_path: Path, refuses: Refuses
) -> None:
    pair, corpus = make_corpus()
    splits = Splits(tiny_splits().dataset)
    splits.heldout = splits.seeds  # as if the corpus had been found from held-out images
    with refuses("their seeds are selection or held-out images"):
        repair(pair, corpus, out=tmp_path / "out", **{**QUICK, "splits": splits})


@pytest.mark.parametrize("choice", [{"min_severity": 0.1}, {"classes": ("red",)}, {"limit": 3}])
def test_entries_can_be_chosen(
    make_corpus: MakeCorpus, tmp_path: Path, choice: dict[str, Any]
) -> None:
    pair, corpus = make_corpus()
    chosen = plan(pair, corpus, splits=tiny_splits(), **choice)
    assert 0 < chosen.entries < len(corpus)
    assert chosen.notes


def test_bad_input_is_refused_in_one_line(
    make_corpus: MakeCorpus, tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, corpus = make_corpus()
    out = tmp_path / "out"
    with refuses("empty corpus"):
        repair(pair, Corpus(tmp_path / "empty", create=True), out=out, **QUICK)
    blind = Pair(pair.spec, pair.original, None, device=pair.device, deployed=pair.deployed)
    with refuses("shadow", "compd compress"):
        repair(blind, corpus, out=out, **QUICK)
    with refuses("class", "purple"):
        repair(pair, corpus, out=out, classes=("purple",), **QUICK)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with refuses("full", "other"):
        repair(pair, corpus, out=tmp_path / "full", **QUICK)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0))
    with refuses("free space", "COMPD_CACHE"):
        repair(pair, corpus, out=out, **QUICK)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rounds": 0}, "rounds=0"),
        ({"seconds": 0.0}, "time=0.0"),
        ({"eps": 0}, "eps=0"),
        ({"seconds": math.inf}, "time=inf"),
        ({"seconds": math.nan}, "time=nan"),
        ({"limit": 0}, "limit=0"),
        ({"min_severity": 2.0}, "min_severity=2.0"),
        ({"method": "magic"}, "method='magic'"),
        ({"random_seed": -1}, "-1"),
        ({"searches": ()}, "search=''"),
        ({"searches": ("magic",)}, "search='magic'"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], named: str, refuses: Refuses) -> None:
    with refuses(named):
        RepairSettings(**changes)
