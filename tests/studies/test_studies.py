"""Studies of a tiny pair, beside figures that are counted image by image."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_original, tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.compress.clipping import clipped_shares
from compd.control import Control
from compd.errors import Stopped
from compd.models import model_hash
from compd.pair import Pair
from compd.shifts import apply_shift, parse_shift
from compd.statistics import mcnemar
from compd.studies import STUDIES, Bench, Guard, StudyReport
from compd.studies import study as run_study
from compd.studies.formats import WEIGHTS, with_weights
from compd.studies.guard import choose, halves, needed, proves

Refuses = Callable[..., Any]
ALL = "shifts,uncertainty,calibration,guard:alpha=0.2,bits:fewest=7"
KINDS = "fog:3,gaussian_noise:5,contrast:5"


@cache
def pair() -> Pair:
    return tiny_pair(Ptq(8, 8))


def rough_pair() -> Pair:
    """Weights of 4 bits: it differs often enough to count."""
    return tiny_pair(Ptq(4, 8))


def study(pair: Pair, images: Any, studies: Any = "shifts", **more: Any) -> StudyReport:
    return run_study(pair, images, studies=studies, **more)


@cache
def report() -> StudyReport:
    return study(rough_pair(), tiny_splits(), ALL, kinds=KINDS, limit=120)


def test_figures_of_a_shifted_set_are_those_counted_image_by_image() -> None:
    pair, rows = rough_pair(), tiny_splits().test(120)
    for name in ("clean", *KINDS.split(",")):
        found = report().results["shifts"].of(name)
        images = rows.images
        if name != "clean":
            images = apply_shift(parse_shift(name), rows.images)
        o = torch.cat([pair.reference.run(image[None]) for image in images]).argmax(1)
        d = torch.cat([pair.deployed.run(image[None]) for image in images]).argmax(1)
        truth = rows.labels
        assert found.disagreement.count == int((o != d).sum())
        assert found.accuracy_original == pytest.approx(float((o == truth).double().mean()))
        assert found.accuracy_deployed == pytest.approx(float((d == truth).double().mean()))
        lost = int(((o == truth) & (d != truth)).sum())
        gained = int(((d == truth) & (o != truth)).sum())
        assert (found.flips.only_original, found.flips.only_deployed) == (lost, gained)
        assert found.accuracy_p_value == pytest.approx(mcnemar(lost, gained))
        assert sum(one.only_original for one in found.classes) == lost
        assert found.images == sum(one.images for one in found.classes) == 120


def test_a_pair_of_the_same_model_twice_differs_nowhere() -> None:
    original = tiny_original()
    same = Pair.from_modules(original, tiny_original(), example=tiny_splits().seeds.images[:1])
    found = study(same, tiny_splits(), "shifts,uncertainty", kinds="fog:5", limit=40)
    for one in (found.results["shifts"].clean, *found.results["shifts"].sets):
        assert one.disagreement.count == one.argmax_count == one.ties == 0
        assert one.kl == 0
        assert one.factor is None
    for one in found.results["uncertainty"].sets:
        assert one.apart == one.extreme == 0
        assert one.original == one.deployed == {}


def test_a_report_goes_to_json_and_back() -> None:
    text = json.dumps(report().to_json())
    again = StudyReport.from_json(json.loads(text))
    assert json.dumps(again.to_json()) == text
    assert again.results["shifts"].of("fog:3") == report().results["shifts"].of("fog:3")
    assert again.results == report().results


def test_bits_of_a_pair_without_int8_kernels_run_on_them() -> None:
    eight, seven = report().results["bits"].bits
    assert (eight.simulated, seven.simulated) == (False, False)
    assert report().pair.endswith("simulated-w4")


def test_what_is_no_report_is_refused(refuses: Refuses) -> None:
    for broken in ({}, {**report().to_json(), "guard": {"alpha": "much"}}, {"settings": {"x": {}}}):
        with refuses():
            StudyReport.from_json(broken)


def test_the_ratio_of_bits_is_what_the_swapped_images_say() -> None:
    for one in report().results["bits"].bits:
        if one.swapped.count:
            assert one.ratio == pytest.approx(one.right_before - one.right_after)
        assert sum(one.swapped_confidence) == one.swapped.count


def test_bits_are_those_of_a_pair_that_was_made_with_them() -> None:
    eight = report().results["bits"].bits[0]
    own = study(pair(), tiny_splits(), "shifts", kinds="", limit=120).results["shifts"].clean
    assert (eight.weight_bits, eight.simulated) == (8, False)
    assert eight.swapped == own.disagreement
    assert eight.kl == own.kl


def test_answers_are_asked_once_and_an_interrupted_study_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(folder: Path | None, control: Control) -> bytes:
        found = study(
            rough_pair(),
            tiny_splits(),
            "shifts,guard:alpha=0.2",
            kinds=KINDS,
            limit=120,
            folder=folder,
            control=control,
        )
        return json.dumps(found.to_json()).encode()

    whole = run(None, Control())
    stopping = Control()
    stopping._report = lambda told: stopping.stop() if told.done == 2 else None
    with pytest.raises(Stopped):
        run(tmp_path, stopping)
    kept = sorted(tmp_path.iterdir())
    assert 0 < len(kept) < 8
    assert run(tmp_path, Control()) == whole
    assert len(list(tmp_path.iterdir())) == 8  # two models, four sets
    asked: list[int] = []
    monkeypatch.setattr("compd.studies.bench.predict", lambda *rest, **more: asked.append(1))
    assert run(tmp_path, Control()) == whole
    assert asked == []


def test_broken_files_of_answers_are_made_anew(tmp_path: Path) -> None:
    def run() -> Any:
        return study(pair(), tiny_splits(), kinds="fog:1", limit=40, folder=tmp_path).to_json()

    whole = run()
    for i, file in enumerate(sorted(tmp_path.iterdir())):
        file.write_bytes([b"", b"x", file.read_bytes()[:-8], b"PK\x03\x04"][i % 4])
    assert run() == whole


def test_a_set_does_not_depend_on_the_parts_it_is_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> np.ndarray:
        bench = Bench(pair(), tiny_splits().test(100), shifts=(parse_shift("gaussian_noise:5"),))
        return bench.answers(bench.shifted[0]).deployed.numpy()

    whole = answers()
    monkeypatch.setattr("compd.studies.bench._PART", 33)
    assert np.array_equal(answers(), whole)


def test_unlabelled_images_have_no_accuracy_and_the_rest_stays(refuses: Refuses) -> None:
    images = tiny_splits().seeds.images[:60]
    found = study(pair(), images, "shifts,calibration,guard:alpha=0.3", kinds="fog:3")
    clean = found.results["shifts"].clean
    assert clean.accuracy_original is clean.flips is clean.f1_macro is None
    assert clean.disagreement.of == 60
    assert "labels" in found.skipped["calibration"]
    assert "calibration" not in found.results
    assert found.results["guard"].heldout.accuracy is None
    with refuses("alphabet"):
        study(pair(), images, "alphabet")


def test_what_does_not_apply_is_one_line_and_not_the_end() -> None:
    rows = tiny_splits().seeds.images[:40]
    callable_pair = Pair.from_modules(pair().reference.run, pair().deployed.run, example=rows[:1])
    found = study(callable_pair, rows, "shifts,bits", kinds="fog:1")
    assert "can only be run" in found.skipped["bits"]
    assert found.results["shifts"].clean.clipped is None


def test_clipping_is_seen_at_eight_bits_and_not_at_seven() -> None:
    """Noise leaves the ranges of clean images; 7 bits leave their kernels twice the room."""
    noisy = apply_shift(parse_shift("awgn:0.5"), tiny_splits().seeds.images[:60])
    clean = tiny_splits().calibration.images
    eight, seven = pair(), tiny_pair(Ptq(8, 7))
    assert clipped_shares(eight.shadow, noisy)[0].share > 10 * max(
        1e-4, clipped_shares(eight.shadow, clean)[0].share
    )
    assert max(one.above for one in clipped_shares(eight.shadow, noisy)) > 0.01
    assert max(one.above for one in clipped_shares(seven.shadow, noisy)) < 1e-3
    assert "net.conv1" in {one.layer for one in clipped_shares(eight.shadow, noisy)}
    assert clipped_shares(tiny_original(), noisy) == ()
    before = eight.shadow_runtime.run(noisy)
    clipped_shares(eight.shadow, noisy)  # leaves no hook behind
    assert torch.equal(eight.shadow_runtime.run(noisy), before)


def test_a_threshold_is_the_lowest_that_its_bound_allows() -> None:
    margins = torch.arange(1000) / 1000
    apart = margins < 0.3
    found = choose(margins, apart, 0.05)
    assert found is not None
    accepted = margins >= found
    assert proves(int((apart & accepted).sum()), int(accepted.sum()), 0.05)
    lower = margins >= found - 0.01
    assert not proves(int((apart & lower).sum()), int(lower.sum()), 0.05)
    assert choose(margins, torch.ones(1000, dtype=torch.bool), 0.05) is None
    assert choose(margins[: needed(0.05) - 1], apart[: needed(0.05) - 1] & False, 0.05) is None
    assert choose(margins[: needed(0.05)], apart[: needed(0.05)] & False, 0.05) == 0.0


def test_the_guards_guarantee_holds_on_new_images() -> None:
    """Images of which a known share differs at each margin, in 200 pairs of halves."""
    alpha, broken, exceeded, chosen = 0.05, 0, 0, 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        margins = torch.from_numpy(draw.random(800))
        apart = torch.from_numpy(draw.random(800)) < 0.25 * (1 - margins) ** 2
        threshold = choose(margins[:400], apart[:400], alpha)
        if threshold is not None:  # the truth: the mean of the rate above the threshold
            chosen += 1
            broken += 0.25 * (1 - threshold) ** 2 / 3 > alpha
            accepted = margins[400:] >= threshold
            exceeded += float(apart[400:][accepted].double().mean()) > alpha
    assert chosen > 150
    assert broken <= 10
    assert exceeded <= 10


def test_halves_are_disjoint_and_whole() -> None:
    first, second = halves(101, 3)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(101))
    assert halves(101, 3)[0].equal(first)
    assert not halves(101, 4)[0].equal(first)


def test_the_guard_names_what_it_was_chosen_on(refuses: Refuses) -> None:
    found = study(
        rough_pair(), tiny_splits(), [Guard(0.3, ("fog:3",))], kinds="fog:3,contrast:5", limit=120
    )
    said = json.loads(found.results["guard"].device)
    assert said["chosen_on"] == ["clean", "fog:3"]
    assert said["accept_at_least"] == found.results["guard"].threshold
    assert {one.name for one in found.results["guard"].sets} == {"fog:3", "contrast:5"}
    with refuses("choose_on"):
        study(pair(), tiny_splits(), [Guard(0.3, ("snow:1",))], kinds="fog:3", limit=40)


def test_settings_are_of_the_study_that_has_them(refuses: Refuses) -> None:
    for wrong in ("guard:alpha=2", "shifts,shifts", "bits:fewest=3", "", "guard:beta=1"):
        with refuses(always=True):
            study(pair(), tiny_splits(), wrong, kinds="", limit=40)
    assert replace(STUDIES.parse("guard:alpha=0.02")) == Guard(0.02)


def test_strategies_start_from_the_same_weights_and_change_nothing_that_was_given() -> None:
    before = tiny_original().state_dict()
    one = tiny_pair(Ptq(8, 7))
    found = study(
        one,
        tiny_splits(),
        "strategies:strategies=mixup+qat,epochs=1",
        kinds="contrast:5",
        limit=80,
    ).results["strategies"]
    assert [figures.strategy for figures in found.strategies] == ["standard", "mixup", "qat"]
    after = one.original.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    standard, mixup, qat = found.strategies
    assert standard.sets[0].more_than_standard == 0
    for figures in (mixup, qat):
        apart = figures.sets[1].disagreement.count - standard.sets[1].disagreement.count
        assert figures.sets[1].more_than_standard == apart
    assert qat.low_ratio is qat.low_bits is None
    assert found.mean("standard", "disagreement") == standard.disagreement.share


def test_retraining_counts_what_is_fixed_stubborn_and_new() -> None:
    found = study(
        rough_pair(), tiny_splits(), "retraining:epochs=1,labels=original", limit=100, kinds=""
    ).results["retraining"]
    for one in (found.heldout, found.published):
        assert one.before == one.fixed + one.stubborn
        assert one.after == one.new + one.stubborn
        assert one.p_value == pytest.approx(mcnemar(one.fixed, one.new))
    assert found.published.trained_on == found.published.before  # it leaks, as published
    assert found.heldout.trained_on != found.heldout.before or found.heldout.images == 100


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities() -> None:
    from compd.studies.ensemble import MeanRuntime

    images = tiny_splits().seeds.images[:20]
    members = [pair().deployed, tiny_pair(Ptq(8, 7)).deployed]
    mean = MeanRuntime(members).run(images).softmax(1)
    expected = torch.stack([one.run(images).softmax(1) for one in members]).mean(0)
    assert torch.allclose(mean, expected, atol=1e-6)
    found = study(pair(), tiny_splits(), "ensemble:seeds=4", kinds="", limit=60).results["ensemble"]
    assert [one.calls for one in found.models] == [1, 1, 1, 1, 4]
    assert all(one.flipped <= 4 for one in found.models)


def test_what_somebody_else_made_is_not_trained() -> None:
    same = Pair.from_modules(
        tiny_original(), tiny_original(), example=tiny_splits().seeds.images[:1]
    )
    found = study(same, tiny_splits(), "strategies,retraining", kinds="", limit=40)
    assert set(found.skipped) == {"strategies", "retraining"}
    assert found.results == {}


def test_formats_round_what_they_say() -> None:
    weight = torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(0))
    table = WEIGHTS["table8"](weight)
    assert len(table.unique()) <= 256 < len(weight.unique())
    worst = {name: float((change(weight) - weight).abs().max()) for name, change in WEIGHTS.items()}
    assert worst["weights16"] < worst["weights8"] < 0.02
    assert float((table - weight).abs().mean()) < 0.01
    levels = WEIGHTS["weights8"](weight)[3] / (weight[3].abs().max() / 127)
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    original = tiny_original()
    before = model_hash(original)
    assert model_hash(with_weights(original, lambda one: one)) == before
    assert model_hash(with_weights(original, WEIGHTS["weights16"])) != before
    assert model_hash(original) == before


def test_formats_that_round_more_are_farther_from_the_original() -> None:
    found = study(pair(), tiny_splits(), "formats", kinds="contrast:5", limit=100)
    formats = {one.name: one for one in found.results["formats"].formats}
    assert list(formats) == ["weights16", "weights8", "table8", "w8a8", "w8a7"]
    kl = {name: one.kl for name, one in formats.items()}
    assert kl["weights16"] < kl["weights8"] < kl["w8a8"]
    own = study(pair(), tiny_splits(), kinds="", limit=100).results["shifts"].clean
    assert formats["w8a8"].disagreement == own.disagreement
