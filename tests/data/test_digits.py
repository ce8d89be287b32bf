from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch

from compd.data import Splits, load_data

digits = import_module("compd.data.digits")  # the name "digits" of its package is the function


def test_the_embedded_digits() -> None:
    data = load_data("digits")
    assert data.name == "digits"
    assert data.classes == tuple("0123456789")
    assert (data.channels, data.size, data.mirror) == (3, (32, 32), False)
    assert data.test is None
    part = data.train
    assert part.images.shape == (1797, 3, 32, 32)
    assert part.images.dtype == torch.uint8
    assert part.labels.dtype == torch.int64
    assert set(part.labels.tolist()) == set(range(10))
    assert not part.shuffled
    assert int(part.images.min()) == 0
    assert int(part.images.max()) == 255


def test_they_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.datasets import load_digits

    scans, labels = digits._scans()
    bunch = load_digits()
    assert (scans == bunch.images).all()
    assert (labels == bunch.target).all()
    monkeypatch.setattr(digits, "find_spec", lambda name: None)  # its file is not where it was
    for ours, theirs in zip(digits._scans(), (scans, labels), strict=True):
        assert (ours == theirs).all()
        assert ours.dtype == theirs.dtype


def test_one_channel_and_another_size() -> None:
    grey, colour = load_data("digits", channels=1, size=16), load_data("digits", size=16)
    assert grey.train.images.shape == (1797, 1, 16, 16)
    assert torch.equal(grey.train.images.expand(-1, 3, -1, -1), colour.train.images)


def test_the_identity_depends_on_what_changes_the_pixels() -> None:
    assert load_data("digits").identity == load_data("digits").identity
    different = [
        load_data("digits", channels=channels, size=size).identity
        for channels in (1, 3)
        for size in (8, 32)
    ]
    assert len(set(different)) == 4


def test_the_splits_of_the_digits_are_a_property_of_the_data() -> None:
    splits = Splits(load_data("digits", channels=1, size=8))
    sizes = {
        name: len(getattr(splits, name))
        for name in ("train", "calibration", "selection", "seeds", "heldout")
    }
    assert sizes == {
        "train": 865,
        "calibration": 107,
        "selection": 107,
        "seeds": 359,
        "heldout": 359,
    }
    assert splits.seeds.rows == "all[1079:1438]"


@pytest.mark.parametrize("wrong", [{"channels": 2}, {"size": 4}, {"size": 4096}])
def test_arguments_that_make_no_sense(wrong: dict[str, int], refuses: Any) -> None:
    name, value = next(iter(wrong.items()))
    with refuses(f"{name}={value}"):
        load_data("digits", **wrong)
