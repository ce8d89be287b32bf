"""A data set with the classes of somebody else's model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.data import UNKNOWN, Dataset, Splits, load_data, named_for

MakeFolder = Callable[..., Any]
Refuses = Callable[..., Any]


@pytest.fixture
def three(make_folder: MakeFolder, tmp_path: Path) -> Dataset:
    return load_data(str(make_folder(tmp_path / "animals", ("cat", "dog", "fox"), each=6)))


def names(tmp_path: Path, *lines: str) -> Path:
    file = tmp_path / "labels.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_as_many_classes_are_taken_as_they_are(three: Dataset) -> None:
    assert named_for(three, 3) is three


def test_other_numbers_of_classes_leave_images_unlabelled(three: Dataset) -> None:
    data = named_for(three, 5)
    assert data.classes == ("0", "1", "2", "3", "4")
    assert data.identity != three.identity
    splits = Splits(data, trains=False)
    assert not splits.seeds.labelled
    assert set(splits.seeds.labels.tolist()) == {UNKNOWN}


def test_names_order_the_labels(three: Dataset, tmp_path: Path) -> None:
    data = named_for(three, 4, names(tmp_path, "fox", "cow", "dog", "cat"))
    assert data.classes == ("fox", "cow", "dog", "cat")
    before, after = three.train.labels.tolist(), data.train.labels.tolist()
    assert [{0: 3, 1: 2, 2: 0}[label] for label in before] == after


def test_names_of_the_model(three: Dataset) -> None:
    assert named_for(three, 3, names=("fox", "dog", "cat")).classes == ("fox", "dog", "cat")
    more = named_for(three, 4, names=("cow", "fox", "dog", "cat"))
    assert int(more.train.labels.max()) == 3
    assert Splits(more, trains=False).seeds.labelled
    others = named_for(three, 4, names=("a", "b", "c", "d"))
    assert others.classes == ("a", "b", "c", "d")
    assert not Splits(others, trains=False).seeds.labelled


def test_wrong_names(three: Dataset, tmp_path: Path, refuses: Refuses) -> None:
    with refuses("4 different names", "got 3", "labels.txt"):
        named_for(three, 4, names(tmp_path, "fox", "cow", "dog"))
    with refuses("4 different names", "got 3"):
        named_for(three, 4, names(tmp_path, "fox", "cow", "dog", "dog"))
    with refuses("labels", "'fox'"):
        named_for(three, 3, names(tmp_path, "cat", "dog", "cow"))
    with refuses("text file", "none.txt"):
        named_for(three, 3, tmp_path / "none.txt")


def test_a_folder_without_classes(
    make_folder: MakeFolder, tmp_path: Path, refuses: Refuses
) -> None:
    folder = make_folder(tmp_path / "photos", ("cat", "dog"), each=8)
    for file in [*folder.rglob("*.png")]:
        file.rename(folder / f"{file.parent.name}-{file.name}")
    for empty in ("cat", "dog"):
        (folder / empty).rmdir()
    with refuses("image folder"):
        load_data(str(folder))
    data = named_for(load_data(str(folder), unlabelled=True), 10)
    splits = Splits(data, trains=False)
    assert len(splits.seeds) + len(splits.calibration) == 16
    assert not splits.seeds.labelled
    assert splits.test().rows == splits.seeds.rows
    kept = {splits.seeds.row(i) for i in range(len(splits.seeds))}
    assert kept.isdisjoint(splits.calibration.row(i) for i in range(len(splits.calibration)))
    with refuses("trained on", "heldout"):
        _ = splits.heldout
