from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compd.data import Dataset, Part, Splits, part_of
from compd.sizes import Size

NAMES = ("train", "calibration", "selection", "seeds", "heldout")


def numbered(n: int, seed: int, *, ordered: bool = False) -> Part:
    """A part whose image ``i`` of the source holds the number ``i`` in its two pixels."""
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, n))
    labels[0], labels[-1] = 0, 2
    if ordered:
        labels = labels.sort().values
    number = torch.arange(n)
    images = torch.stack([number // 256, number % 256], 1).to(torch.uint8)
    return part_of(images.reshape(n, 1, 1, 2), labels, 3, "here")


def dataset(train: Part, test: Part | None = None) -> Dataset:
    loaders = {"train": lambda: train}
    if test is not None:
        loaders["test"] = lambda: test
    return Dataset("numbers", "id", ("a", "b", "c"), 1, Size(2, 2), False, loaders)


def rows_of(splits: Splits) -> dict[str, list[str]]:
    return {
        name: [split.row(i) for i in range(len(split))]
        for name in NAMES
        for split in [getattr(splits, name)]
    }


@given(
    n=st.integers(20, 2000),
    test=st.one_of(st.none(), st.integers(2, 300)),
    ordered=st.booleans(),
    seed=st.integers(0, 9),
)
def test_splits_are_disjoint_and_together_are_all(
    n: int, test: int | None, ordered: bool, seed: int
) -> None:
    train_part = numbered(n, seed, ordered=ordered)
    test_part = None if test is None else numbered(test, seed, ordered=ordered)
    splits = Splits(dataset(train_part, test_part))
    rows = rows_of(splits)
    taken = [row for name in NAMES for row in rows[name]]
    assert len(set(taken)) == len(taken) == n + (test or 0)
    whole = splits.test()
    assert {whole.row(i) for i in range(len(whole))} == {*rows["seeds"], *rows["heldout"]}


@given(n=st.integers(20, 700), ordered=st.booleans(), seed=st.integers(0, 9))
def test_each_split_keeps_images_labels_and_rows_together(n: int, ordered: bool, seed: int) -> None:
    part = numbered(n, seed, ordered=ordered)
    assert part.shuffled == bool(ordered)
    by_row = {int(row): int(label) for row, label in zip(part.index, part.labels, strict=True)}
    splits = Splits(dataset(part))
    for name in NAMES:
        split = getattr(splits, name)
        assert len(split.images) == len(split.labels) == len(split.index) == len(split)
        numbers = split.images.long().flatten(1) @ torch.tensor([256, 1])
        assert torch.equal(numbers, split.index)
        assert [by_row[int(row)] for row in split.index] == split.labels.tolist()


def test_a_part_sorted_by_class_is_shuffled_the_same_way_each_time() -> None:
    once, again = numbered(100, 0, ordered=True), numbered(100, 0, ordered=True)
    assert once.shuffled
    assert torch.equal(once.index, again.index)
    assert not bool((once.labels[1:] >= once.labels[:-1]).all())
    splits = Splits(dataset(once))
    assert splits.train.rows == "all[0:48] of a fixed shuffle (seed 0)"


def test_with_a_test_part_the_seeds_are_its_first_half() -> None:
    splits = Splits(dataset(numbered(100, 0), numbered(41, 1)))
    assert splits.seeds.rows == "test[0:20]"
    assert splits.heldout.rows == "test[20:41]"
    assert splits.test().rows == "test[0:41]"
    assert splits.train.rows == "train[0:80]"
    assert splits.calibration.rows == "train[80:90]"
    assert splits.selection.rows == "train[90:100]"
    assert splits.heldout.row(0) == "test[20]"


def test_seeds_from_a_test_part_never_load_the_training_images() -> None:
    def never() -> Part:
        raise AssertionError("the training part was loaded")

    test = numbered(10, 0)
    loaders = {"train": never, "test": lambda: test}
    data = Dataset("lazy", "id", ("a", "b", "c"), 1, Size(2, 2), False, loaders)
    splits = Splits(data)
    assert len(splits.seeds) == len(splits.heldout) == 5


def test_too_few_images_for_five_splits(refuses: Any) -> None:
    splits = Splits(dataset(numbered(9, 0)))
    with refuses("got 9", "'numbers'", "calibration"):
        _ = splits.calibration


@pytest.mark.parametrize(
    ("labels", "culprits"),
    [
        ([1, 1, 1], ("at least two classes", "got 1")),
        ([], ("got 0",)),
        ([0, 3], ("0..2", "0..3")),
        ([-1, 1], ("0..2", "-1..1")),
    ],
)
def test_labels_that_make_no_sense(
    labels: list[int], culprits: tuple[str, ...], refuses: Any
) -> None:
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    with refuses("data/here", *culprits):
        part_of(images, torch.tensor(labels, dtype=torch.int64), 3, "data/here")
