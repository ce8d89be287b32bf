"""What a check warns of by name: each warning comes, and what it advises ends it."""

from pathlib import Path

import pytest
from PIL import Image
from tiny import SIZE, tiny_pair, tiny_spec, tiny_splits
from tiny_files import onnx_files, photos

from compd.cli.wording import as_options
from compd.compress import Ptq
from compd.data import Resize
from compd.pair.from_files import pair_of_files
from compd.pair.images import as_split
from compd.pair.preflight import check
from compd.pair.spec import PairSpec


def warned(folder: Path, resize: Resize | None = None) -> str:
    pair, splits = pair_of_files(*onnx_files(), data=str(folder), resize=resize)
    return " ".join(as_options(list(check(pair, splits.seeds).warnings)))


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """The tiny photographs, each fourth of them twice as wide."""
    for i, file in enumerate(sorted(photos(flat=True).iterdir())):
        with Image.open(file) as picture:
            picture.resize((SIZE * (2 if i % 4 == 0 else 1), SIZE)).save(tmp_path / file.name)
    return tmp_path


def test_images_of_another_aspect_ratio(wide: Path) -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(wide))
    assert pair.spec.resize == ""
    split = splits.seeds
    count = int((split.index % 4 == 0).sum())  # rows are the files in their order
    said = as_options(list(check(pair, split).warnings))
    (warning,) = [text for text in said if "aspect ratio" in text]
    assert warning.startswith(f"{count} of {len(split)} images")
    assert "(16x16)" in warning
    for way in ("crop", "pad", "stretch"):
        assert f"--resize {way}" in warning
        assert "aspect ratio" not in warned(wide, Resize(way))
    assert "aspect ratio" not in warned(photos())


def test_a_pair_says_how_its_images_were_scaled(wide: Path) -> None:
    pair, _ = pair_of_files(*onnx_files(), data=str(wide), resize=Resize("crop", (224, 256)))
    spec = pair.spec
    assert spec.made_of["resize"] == "crop 224/256"
    assert PairSpec.from_json(spec.to_json()) == spec
    assert "resize" not in tiny_spec(Ptq()).to_json()  # files of others stay as they are


def test_data_by_name_are_scaled_as_the_pairs_were(wide: Path) -> None:
    pair, splits = pair_of_files(*onnx_files(), data=str(wide), resize=Resize("pad"))
    assert bool((as_split(str(wide), pair).images == splits.seeds.images).all())


def test_a_good_pair_of_ours_is_warned_of_nothing() -> None:
    assert check(tiny_pair(), tiny_splits().seeds).warnings == ()
