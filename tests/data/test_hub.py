from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from compd.data import load_data
from compd.data.hub import from_hub
from compd.sizes import Size

datasets = pytest.importorskip("datasets", reason="needs the extra compd[hf]")


@pytest.fixture(autouse=True)
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub-cache")


def test_a_folder_reads_like_with_the_folder_reader(tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path / "pets")
    here, hub = load_data(str(folder)), from_hub(str(folder))
    assert hub.name == "pets"
    assert hub.classes == here.classes
    assert (hub.channels, hub.size) == (here.channels, here.size)
    assert torch.equal(hub.train.images, here.train.images)
    assert torch.equal(hub.train.labels, here.train.labels)


def test_parquet_reads_like_with_the_parquet_reader(tmp_path: Path, make_parquet: Any) -> None:
    make_parquet(tmp_path / "numbers" / "train.parquet", seed=1)
    make_parquet(tmp_path / "numbers" / "test.parquet", seed=2)
    folder = str(tmp_path / "numbers")
    here, hub = (
        load_data(folder, channels=1, size=16),
        from_hub(folder, channels=1, size=Size(16, 16)),
    )
    assert hub.classes == here.classes == ("0", "1", "2")
    assert torch.equal(hub.train.images, here.train.images)
    assert hub.test is not None
    assert here.test is not None
    assert torch.equal(hub.test.images, here.test.images)
    assert torch.equal(hub.test.labels, here.test.labels)


def test_the_identity_follows_the_settings(tmp_path: Path, make_folder: Any) -> None:
    folder = str(make_folder(tmp_path / "pets"))
    assert from_hub(folder).identity == from_hub(folder).identity
    assert from_hub(folder).identity != from_hub(folder, size=Size(16, 16)).identity
    assert from_hub(folder, size=from_hub(folder).size).identity == from_hub(folder).identity


def test_a_name_that_does_not_exist(tmp_path: Path, refuses: Any) -> None:
    with refuses(f"data={str(tmp_path / 'nothing')!r}"):
        from_hub(str(tmp_path / "nothing"))


def test_missing_columns(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    file = make_parquet(tmp_path / "x" / "train.parquet", columns=("picture", "label"))
    with refuses("'img' or 'image'", "'picture'", str(file.parent)):
        from_hub(str(file.parent))


@pytest.mark.parametrize("labels", [("cat", "dog"), (0, None)])
def test_labels_that_are_no_integers(
    tmp_path: Path, make_parquet: Any, refuses: Any, labels: tuple[Any, ...]
) -> None:
    file = make_parquet(tmp_path / "x" / "train.parquet", labels)
    with refuses("integer labels", str(file.parent)):
        from_hub(str(file.parent))


@pytest.mark.parametrize("keep", [0, 60])
def test_the_row_that_cannot_be_read_is_named(
    tmp_path: Path, make_folder: Any, refuses: Any, keep: int
) -> None:
    folder = make_folder(tmp_path / "pets")
    file = folder / "cat" / "04.png"
    file.write_bytes(file.read_bytes()[:keep])
    data = from_hub(str(folder))
    with refuses(f"{folder} row 4"):
        _ = data.train


def test_cells_that_hold_no_image(tmp_path: Path, make_parquet: Any, refuses: Any) -> None:
    file = make_parquet(tmp_path / "x" / "train.parquet", (0, 1), images=["a.png", "b.png"])
    with refuses("encoded image bytes", "row 0"):
        from_hub(str(file.parent))


def test_without_the_package_the_error_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, refuses: Any
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with refuses("'datasets'", "pip install 'compd[hf]'"):
        from_hub("somebody/something")
