"""Figures that would be wrong in silence: labels, numbers that are none, rows that leak."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_studies import pair, rough_pair
from tiny import tiny_original, tiny_splits

from compd.pair import Pair
from compd.studies import Bench, Guard, study
from compd.studies.guard import choose, choose_for_all
from compd.studies.metrics import scores

Refuses = Callable[..., Any]


def answering(deployed: Callable[[torch.Tensor], torch.Tensor]) -> Pair:
    return Pair.from_modules(tiny_original(), deployed, example=tiny_splits().seeds.images[:1])


def test_an_answer_that_is_no_number_is_never_right() -> None:
    def bright(images: torch.Tensor) -> torch.Tensor:
        return images.float().mean((1, 2, 3))

    rows = tiny_splits().seeds.first(60)
    middle = bright(rows.images).median()

    def broken(images: torch.Tensor) -> torch.Tensor:
        logits = pair().deployed.run(images).clone()
        logits[bright(images) > middle] = float("nan")
        return logits

    dead = int((bright(rows.images) > middle).sum())
    assert 5 < dead < 55
    found = study(answering(broken), rows, studies="shifts,uncertainty", kinds="")
    clean = found.results["shifts"].clean
    assert clean.not_finite == dead
    assert clean.flips.both_right + clean.flips.only_deployed <= 60 - dead
    assert clean.disagreement.count >= dead
    assert clean.argmax_count <= 60 - dead
    assert clean.kl is not None
    json.loads(json.dumps(found.to_json(), allow_nan=False))
    told = found.results["uncertainty"].sets[0].deployed
    assert min(one.value for one in told.values()) > 0.9  # what is dead is unsure by each score


def test_a_row_without_numbers_is_as_unsure_as_can_be() -> None:
    found = scores(np.zeros((1, 4)))
    assert found["entropy"][0] == pytest.approx(np.log(4))
    assert found["gini"][0] == pytest.approx(0.75)
    assert found["margin"][0] == pytest.approx(1)


def test_images_are_all_labelled_or_none_is(refuses: Refuses) -> None:
    rows = tiny_splits().seeds.first(40)
    labels = rows.labels.clone()
    for some in (slice(0, 1), slice(1, None, 2)):
        mixed = labels.clone()
        mixed[some] = -1
        with refuses("without a label"):
            study(pair(), rows.images, labels=mixed, kinds="")
    with refuses("labels"):  # a data set has its own
        study(pair(), tiny_splits(), labels=labels, kinds="")


def test_each_set_that_is_chosen_on_has_to_prove_itself() -> None:
    margins = torch.linspace(0, 1, 2000, dtype=torch.float64)
    good, bad = torch.zeros(2000, dtype=torch.bool), margins < 0.5
    alone = choose(margins, good, 0.05)
    both = choose_for_all([(margins, good), (margins, bad)], 0.05)
    assert alone == 0.0
    assert both is not None
    assert both > 0.4
    assert choose_for_all([(margins, good), (margins[:10], good[:10])], 0.05) is None


def test_rows_that_were_chosen_on_are_not_judged() -> None:
    found = study(
        rough_pair(),
        tiny_splits(),
        studies=[Guard(0.3, ("fog:1",))],
        kinds="fog:1,contrast:1",
        limit=80,
    ).results["guard"]
    assert [one.images for one in found.sets] == [40, 40]
    assert found.choosing.images + found.heldout.images == 80


def test_a_guard_is_chosen_on_shifted_sets_alone(refuses: Refuses) -> None:
    for name in ("clean", "fog:3"):
        with refuses("choose_on"):
            study(pair(), tiny_splits(), studies=[Guard(0.3, (name,))], kinds="fog:1", limit=40)
    assert Guard(choose_on="fog:1+snow:3").choose_on == ("fog:1", "snow:3")  # type: ignore[arg-type]


def test_what_a_callable_said_is_not_believed_the_next_time(tmp_path: Path) -> None:
    rows = tiny_splits().seeds.first(40)
    box = {"model": pair().deployed}

    def ask(images: torch.Tensor) -> torch.Tensor:
        return box["model"].run(images)

    def divergence() -> float:
        found = study(answering(ask), rows, kinds="", folder=tmp_path)
        return found.results["shifts"].clean.kl

    before = divergence()
    box["model"] = rough_pair().deployed
    assert divergence() != before


def test_arguments_that_would_do_nothing_are_refused(refuses: Refuses) -> None:
    with refuses("severit"):
        study(pair(), tiny_splits(), kinds="fog", severities=(), limit=40)
    with refuses(always=True):
        study(pair(), tiny_splits(), kinds="fog", severities=(float("nan"),), limit=40)
    with refuses("frost"):
        study(pair(), tiny_splits(), kinds="fog:1", frost=(), limit=40)
    with refuses("alpha"):
        Guard(1e-17)
    with refuses(always=True):
        study("pair", tiny_splits())  # type: ignore[arg-type]


def test_one_study_that_fails_is_a_line_and_the_others_stay(
    monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    from compd.errors import ModelError

    def fails(*given: Any, **named: Any) -> Any:
        raise ModelError("expected a model that can be traced, got another")

    monkeypatch.setattr("compd.studies.bits.make_shadow", fails)
    found = study(pair(), tiny_splits(), studies="bits,shifts", kinds="", limit=40)
    assert "can be traced" in found.skipped["bits"]
    assert set(found.results) == {"shifts"}
    with refuses("traced"):
        study(pair(), tiny_splits(), studies="bits", kinds="", limit=40)


def test_a_saved_pair_reads_data_whose_classes_are_in_another_order(tmp_path: Path) -> None:
    from compd.images import encode_png
    from compd.pair.requests import PairFolder

    one, rows = pair(), tiny_splits().seeds.first(60)
    one.save(tmp_path / "pair")
    for i, (image, label) in enumerate(zip(rows.images, rows.labels, strict=True)):
        place = tmp_path / "data" / one.classes[int(label)] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encode_png(image))
    assert list(one.classes) != sorted(one.classes)
    _, splits = PairFolder(tmp_path / "pair", str(tmp_path / "data"), trust=True).open()
    assert splits.dataset.classes == one.classes
    part = splits.dataset.train
    right = one.reference.run(part.images).argmax(1) == part.labels
    own = one.reference.run(rows.images).argmax(1) == rows.labels
    assert int(right.sum()) == int(own.sum())


def test_a_shift_whose_package_is_missing_is_told_before_any_model_is_asked(
    monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    monkeypatch.setattr(Bench, "logits", None)  # nothing may ask
    with refuses("compd[study]"):
        study(pair(), tiny_splits(), kinds="fog:1,mnist_canny_edges", limit=40)
