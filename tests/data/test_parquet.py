from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compd.data import load_data
from compd.images import decode_png, encode_png

pytest.importorskip("pyarrow", reason="needs the extra compd[parquet]")


def test_one_file_in_the_order_of_its_rows(
    tmp_path: Path, make_parquet: Any, make_images: Any
) -> None:
    make_parquet(tmp_path / "numbers" / "all.parquet")
    data = load_data(str(tmp_path / "numbers"))
    assert data.name == "numbers"
    assert data.classes == ("0", "1", "2")
    assert (data.channels, data.size, data.mirror) == (3, (8, 8), True)
    assert data.test is None
    assert torch.equal(data.train.images, make_images(12))
    assert data.train.labels.tolist() == [0, 1, 2] * 4
    assert not data.train.shuffled


def test_parts_are_told_apart_by_file_name(tmp_path: Path, make_parquet: Any) -> None:
    make_parquet(tmp_path / "train-00001.parquet", (2, 0), seed=1)
    make_parquet(tmp_path / "train-00000.parquet", (0, 1, 2), seed=2)
    make_parquet(tmp_path / "deep" / "test-00000.parquet", (1, 0), seed=3)
    data = load_data(str(tmp_path))
    assert sorted(data.train.labels.tolist()) == [0, 0, 1, 2, 2]
    assert data.test is not None
    assert data.test.labels.tolist() == [1, 0]


def test_a_lone_test_file_is_all_there_is(tmp_path: Path, make_parquet: Any) -> None:
    data = load_data(str(make_parquet(tmp_path / "test.parquet")))
    assert data.test is None
    assert len(data.train.labels) == 12


def test_a_glob(tmp_path: Path, make_parquet: Any) -> None:
    make_parquet(tmp_path / "a.parquet", (0, 1))
    make_parquet(tmp_path / "b.parquet", (0, 1, 2))
    assert load_data(str(tmp_path / "a*.parquet")).classes == ("0", "1")


def test_a_glob_takes_parquet_files_only(tmp_path: Path, make_parquet: Any) -> None:
    make_parquet(tmp_path / "a.parquet", (0, 1))
    (tmp_path / "a.txt").write_text("notes")
    assert len(load_data(str(tmp_path / "a.*")).train.labels) == 2


def test_class_names_from_the_metadata(tmp_path: Path, make_parquet: Any) -> None:
    info = {"info": {"features": {"label": {"names": ["owl", "yak", "bee"]}}}}
    file = make_parquet(
        tmp_path / "x.parquet", metadata={b"huggingface": json.dumps(info).encode()}
    )
    assert load_data(str(file)).classes == ("owl", "yak", "bee")


@pytest.mark.parametrize("metadata", [b"not json", b"[]", b'{"info": null}'])
def test_metadata_of_another_kind_is_no_obstacle(
    tmp_path: Path, make_parquet: Any, metadata: bytes
) -> None:
    file = make_parquet(tmp_path / "x.parquet", metadata={b"huggingface": metadata})
    assert load_data(str(file)).classes == ("0", "1", "2")


def test_the_other_column_name_and_plain_bytes(
    tmp_path: Path, make_parquet: Any, make_images: Any
) -> None:
    images = make_images(3, channels=1)
    file = make_parquet(
        tmp_path / "x.parquet",
        (0, 1, 0),
        images=[encode_png(image) for image in images],
        columns=("image", "label"),
    )
    assert torch.equal(load_data(str(file), channels=1).train.images, images)


def test_the_identity_follows_contents_and_settings(tmp_path: Path, make_parquet: Any) -> None:
    file = str(make_parquet(tmp_path / "x.parquet", seed=1))
    seen = {load_data(file).identity, load_data(file, size=16).identity}
    assert load_data(file).identity in seen
    assert load_data(file, size=load_data(file).size).identity in seen  # the same pixels
    make_parquet(tmp_path / "x.parquet", seed=2)
    seen.add(load_data(file).identity)
    assert len(seen) == 3


def test_missing_columns(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    file = make_parquet(tmp_path / "x.parquet", columns=("picture", "label"))
    with refuses("'img' or 'image'", "'picture'", str(file)):
        load_data(str(file))
    file = make_parquet(tmp_path / "x.parquet", columns=("img", "class"))
    with refuses("'label'", "'class'", str(file)):
        load_data(str(file))


def test_a_second_file_without_the_columns(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    make_parquet(tmp_path / "a.parquet")
    file = make_parquet(tmp_path / "b.parquet", columns=("img", "class"))
    data = load_data(str(tmp_path))
    with refuses("'class'", str(file)):
        _ = data.train


@pytest.mark.parametrize("content", [b"", b"PAR1", b"these are not columns" * 9])
def test_a_file_that_is_not_parquet(tmp_path: Path, refuses: Any, content: bytes) -> None:
    file = tmp_path / "x.parquet"
    file.write_bytes(content)
    with refuses("expected a parquet file", str(file)):
        load_data(str(file))


def test_a_truncated_file(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    file = make_parquet(tmp_path / "x.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with refuses("expected a parquet file", str(file)):
        load_data(str(file))


def test_damage_inside_the_columns(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    file = make_parquet(tmp_path / "x.parquet")
    content = file.read_bytes()
    file.write_bytes(content[:100] + b"\xff" * 400 + content[500:])
    with refuses(str(file)):
        _ = load_data(str(file)).train


@pytest.mark.parametrize("labels", [("cat", "dog"), (0.5, 1.5), (0, None)])
def test_labels_that_are_no_integers(
    tmp_path: Path, make_parquet: Any, refuses: Any, labels: tuple[Any, ...]
) -> None:
    file = make_parquet(tmp_path / "x.parquet", labels)
    with refuses("integer labels", str(file)):
        load_data(str(file))


@pytest.mark.parametrize("labels", [(1, 1, 1), (-1, 0, 1)])
def test_labels_of_one_class_or_out_of_range(
    tmp_path: Path, make_parquet: Any, refuses: Any, labels: tuple[int, ...]
) -> None:
    data = load_data(str(make_parquet(tmp_path / "x.parquet", labels)))
    with refuses(str(tmp_path)):
        _ = data.train


def test_no_rows(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    with refuses(str(tmp_path / "x.parquet")):
        load_data(str(make_parquet(tmp_path / "x.parquet", ())))


@pytest.mark.parametrize("value", ["a/path.png", {"bytes": None, "path": "a/path.png"}])
def test_images_that_are_not_inside_the_file(
    tmp_path: Path, make_parquet: Any, refuses: Any, value: Any
) -> None:
    file = make_parquet(tmp_path / "x.parquet", (0, 1), images=[value] * 2)
    with refuses("encoded image bytes", str(file), "row 0"):
        load_data(str(file))


@pytest.mark.parametrize("row", [0, 7])
def test_the_row_that_cannot_be_read_is_named(
    tmp_path: Path, make_parquet: Any, make_images: Any, refuses: Any, row: int
) -> None:
    blobs = [encode_png(image) for image in make_images(12)]
    assert decode_png(blobs[row]).shape == (3, 8, 8)
    blobs[row] = blobs[row][:70]
    file = make_parquet(tmp_path / "x.parquet", images=blobs)
    with refuses(f"{file} row {row}"):
        _ = load_data(str(file)).train


@pytest.mark.parametrize(
    ("names", "train", "test"),
    [
        (["train/0000.parquet", "test/0000.parquet"], 12, 8),
        (["train-00000-of-00001.parquet", "test-00000-of-00001.parquet"], 12, 8),
        (["latest-train.parquet", "latest-test.parquet"], 12, 8),
        (["train.parquet", "validation.parquet"], 12, 8),
        (["contest.parquet"], 12, None),
    ],
)
def test_parts_are_told_apart_by_whole_words(
    tmp_path: Path, make_parquet: Any, names: list[str], train: int, test: int | None
) -> None:
    for name, count in zip(names, (12, 8), strict=False):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        make_parquet(tmp_path / name, [i % 2 for i in range(count)])
    dataset = load_data(str(tmp_path))
    assert len(dataset.train.labels) == train
    assert (None if dataset.test is None else len(dataset.test.labels)) == test
