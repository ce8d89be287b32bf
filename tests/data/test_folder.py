from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compd.data import load_data
from compd.images import read_image


def test_one_subfolder_per_class(tmp_path: Path, make_folder: Any) -> None:
    data = load_data(str(make_folder(tmp_path / "pets", each=6)))
    assert data.name == "pets"
    assert data.classes == ("cat", "dog")
    assert (data.channels, data.size, data.mirror) == (3, (8, 8), True)
    assert data.test is None
    part = data.train
    assert part.shuffled  # files come sorted by class
    assert part.labels.bincount().tolist() == [6, 6]
    files = sorted((tmp_path / "pets").rglob("*.png"))
    for image, label, row in zip(part.images, part.labels, part.index, strict=True):
        file = files[int(row)]
        assert torch.equal(image, read_image(file.read_bytes(), str(file)))
        assert data.classes[int(label)] == file.parent.name


@pytest.mark.parametrize("name", ["test", "val", "validation"])
def test_train_and_test_folders(tmp_path: Path, make_folder: Any, name: str) -> None:
    make_folder(tmp_path / "train", each=4)
    make_folder(tmp_path / name, each=2, seed=1)
    data = load_data(str(tmp_path))
    assert len(data.train.labels) == 8
    assert data.test is not None
    assert len(data.test.labels) == 4


def test_files_that_are_no_images_are_left_alone(tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path)
    identity = load_data(str(folder)).identity
    (folder / "README.md").write_text("pets")
    (folder / "cat" / "labels.csv").write_text("a,b")
    assert load_data(str(folder)).identity == identity


def test_the_identity_follows_contents_names_and_settings(tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path / "a")
    seen = {load_data(str(folder)).identity}
    side = load_data(str(folder)).size
    assert load_data(str(folder), size=side).identity in seen  # the same pixels
    shutil.copytree(folder, tmp_path / "b")
    assert load_data(str(tmp_path / "b")).identity in seen  # wherever it lies
    seen.add(load_data(str(folder), channels=1).identity)
    seen.add(load_data(str(folder), size=16).identity)
    (folder / "cat" / "00.png").rename(folder / "dog" / "99.png")
    seen.add(load_data(str(folder)).identity)
    (folder / "dog" / "99.png").write_bytes((folder / "dog" / "01.png").read_bytes())
    seen.add(load_data(str(folder)).identity)
    assert len(seen) == 5


def test_images_of_many_sizes_are_scaled_when_asked(tmp_path: Path, make_folder: Any) -> None:
    make_folder(tmp_path, ["cat"], height=8, width=12)
    make_folder(tmp_path, ["dog"], height=20)
    data = load_data(str(tmp_path), size=16, channels=1)
    assert data.size == (16, 16)
    assert data.train.images.shape == (12, 1, 16, 16)


def test_images_of_many_sizes_are_refused_otherwise(
    tmp_path: Path, make_folder: Any, refuses: Any
) -> None:
    make_folder(tmp_path, ["cat"], height=8)
    make_folder(tmp_path, ["dog"], height=20)
    data = load_data(str(tmp_path))
    with refuses("8x8", "20x20", str(tmp_path / "dog"), "--size"):
        _ = data.train


def test_images_that_are_not_square(tmp_path: Path, make_folder: Any, refuses: Any) -> None:
    make_folder(tmp_path, height=8, width=12)
    data = load_data(str(tmp_path))
    assert data.size == (8, 12)
    assert data.train.images.shape == (12, 3, 8, 12)
    assert data.identity != load_data(str(tmp_path), size=8).identity
    for size in ((16, 10), "16x10"):
        assert load_data(str(tmp_path), size=size).train.images.shape == (12, 3, 16, 10)
    with refuses("224 or 96x192", "size='16x'"):
        load_data(str(tmp_path), size="16x")
    with refuses("8..1024", "16x2000"):
        load_data(str(tmp_path), size=(16, 2000))


def test_an_empty_folder(tmp_path: Path, refuses: Any) -> None:
    (tmp_path / "empty").mkdir()
    with refuses(str(tmp_path / "empty"), "at least one image"):
        load_data(str(tmp_path / "empty"))


def test_images_without_class_folders(tmp_path: Path, make_folder: Any, refuses: Any) -> None:
    folder = make_folder(tmp_path / "pets") / "cat"
    with refuses(str(folder), "CLASS/NAME.png"):
        load_data(str(folder))


def test_one_class_only(tmp_path: Path, make_folder: Any, refuses: Any) -> None:
    with refuses(str(tmp_path), "at least two class subfolders", "cat"):
        load_data(str(make_folder(tmp_path, ["cat"])))


def test_two_class_folders_of_which_one_is_empty(
    tmp_path: Path, make_folder: Any, refuses: Any
) -> None:
    (make_folder(tmp_path, ["cat"]) / "dog").mkdir()
    with refuses(str(tmp_path), "at least two classes"):
        _ = load_data(str(tmp_path)).train


def test_an_empty_test_folder(tmp_path: Path, make_folder: Any, refuses: Any) -> None:
    make_folder(tmp_path / "train")
    (tmp_path / "test").mkdir()
    with refuses(str(tmp_path / "test"), "at least one image"):
        load_data(str(tmp_path))


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "16-bit", "transparent"])
@pytest.mark.parametrize("place", ["cat/00.png", "dog/03.png"], ids=["first", "later"])
def test_the_file_that_cannot_be_read_is_named(
    tmp_path: Path, make_folder: Any, refuses: Any, damage: str, place: str
) -> None:
    file = make_folder(tmp_path) / place
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "truncated":
        file.write_bytes(file.read_bytes()[:60])
    elif damage == "text":
        file.write_text("a cat")
    elif damage == "16-bit":
        Image.fromarray(np.zeros((8, 8), dtype=np.uint16)).save(file)
    else:
        Image.new("RGBA", (8, 8), (1, 2, 3, 128)).save(file)
    with refuses(str(file)):
        _ = load_data(str(tmp_path)).train


@pytest.mark.parametrize("name", ["nothing", "nothing/*.parquet", "file.txt"])
def test_a_place_where_nothing_is(tmp_path: Path, refuses: Any, name: str) -> None:
    (tmp_path / "file.txt").write_text("")
    with refuses(f"data={str(tmp_path / name)!r}", "expected 'digits'"):
        load_data(str(tmp_path / name))


@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_one_part_alone_keeps_its_classes(tmp_path: Path, make_folder: Any, name: str) -> None:
    make_folder(tmp_path / name)
    data = load_data(str(tmp_path), unlabelled=True)
    assert data.classes == ("cat", "dog")
    assert len(data.train.labels) == 12
    assert sorted(set(data.train.labels.tolist())) == [0, 1]
