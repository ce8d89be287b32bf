"""What a check warns of by name: each warning comes, and what it advises ends it."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from tiny import SIZE, tiny_pair, tiny_spec, tiny_splits
from tiny_files import onnx_files, photos

from compd.cli.wording import as_options
from compd.compress import Ptq
from compd.data import Resize
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.pair.images import as_split
from compd.pair.preflight import Preflight, check
from compd.pair.spec import PairSpec
from compd.runtimes import Overrides

Refuses = Callable[..., Any]


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


def test_an_original_that_guesses() -> None:
    rows = tiny_splits().seeds
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    seen = check(tiny_pair(), replace(rows, labels=rows.labels[order]))
    (warning,) = as_options(list(seen.warnings))
    assert warning.startswith(f"the original is right on {seen.original_accuracy:.1%} of 100")
    assert "about chance with 3 classes" in warning
    assert "--weights" in warning
    assert "compd train --out FILE" in warning
    half = torch.where(torch.arange(len(rows)) < 50, rows.labels, rows.labels[order])
    assert check(tiny_pair(), replace(rows, labels=half)).warnings == ()


def remade(out: Path, change: Callable[[onnx.ModelProto], None]) -> tuple[Path, Path]:
    """Both tiny files with the same change."""
    made = []
    for file in onnx_files():
        model = onnx.load(file)
        change(model)
        onnx.save(model, out / file.name)
        made.append(out / file.name)
    return made[0], made[1]


def with_outputs(before: int, after: int) -> Callable[[onnx.ModelProto], None]:
    """More outputs that never win, as one of a background."""

    def change(model: onnx.ModelProto) -> None:
        last, constant = model.graph.output[0].name, onnx.numpy_helper.from_array
        model.graph.initializer.extend(
            [constant(np.array([0, before, 0, after]), "more"), constant(np.float32(-50), "low")]
        )
        model.graph.node.append(onnx.helper.make_node("Pad", [last, "more", "low"], ["padded"]))
        model.graph.output[0].CopyFrom(
            onnx.helper.make_tensor_value_info("padded", 1, ["n", 3 + before + after])
        )

    return change


def looked_at(files: tuple[Path, Path], **said: Any) -> Preflight:
    pair, splits = pair_of_files(*files, data=str(photos()), **said)
    return check(pair, splits.seeds)


def of_labels(seen: Preflight) -> str:
    return " ".join(text for text in as_options(list(seen.warnings)) if "label" in text)


@pytest.mark.parametrize(("before", "after", "offset"), [(1, 0, 1), (0, 1, 0), (4, 0, 4)])
def test_outputs_that_the_data_have_no_class_for(
    tmp_path: Path, before: int, after: int, offset: int
) -> None:
    files = remade(tmp_path, with_outputs(before, after))
    seen = looked_at(files)
    assert seen.original_accuracy is None
    said = of_labels(seen)
    assert f"the data have 3 classes and the model {3 + before + after}" in said
    assert ("background" in said) == (offset == 1)
    found = re.search(r"it is right on ([0-9.]+)%: pass --labels-offset (\d)", said)
    assert found is not None
    assert int(found[2]) == offset
    mended = looked_at(files, labels_offset=offset)
    assert mended.original_accuracy == pytest.approx(float(found[1]) / 100, abs=1e-3)
    assert of_labels(mended) == ""
    names = [*"uvwx"[:before], *sorted(path.name for path in photos().iterdir()), *"yz"[:after]]
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert looked_at(files, labels=tmp_path / "names.txt") == mended


def test_labels_that_no_shift_explains(tmp_path: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        with_outputs(2, 2)(model)
        order = onnx.numpy_helper.from_array(np.array([4, 0, 2, 1, 5, 3, 6]), "order")
        model.graph.initializer.append(order)
        model.graph.node.append(onnx.helper.make_node("Gather", ["padded", "order"], ["o"], axis=1))
        model.graph.output[0].name = "o"

    files = remade(tmp_path, change)
    said = of_labels(looked_at(files))
    assert "--labels with a file of the model's 7 names" in said
    assert "offset" not in said
    own = sorted(path.name for path in photos().iterdir())
    (tmp_path / "names.txt").write_text("\n".join([own[2], "a", own[0], "b", "c", own[1], "d"]))
    mended = looked_at(files, labels=tmp_path / "names.txt")
    assert of_labels(mended) == ""
    assert mended.original_accuracy is not None
    assert mended.original_accuracy > 0.8


def test_data_of_more_classes_than_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(photos(), folder)
    shutil.copytree(next(iter(folder.iterdir())), folder / "3-other")
    pair, splits = pair_of_files(*onnx_files(), data=str(folder))
    assert "the data have 4 classes and the model 3; leave out" in of_labels(
        check(pair, splits.seeds)
    )
    shutil.rmtree(folder / "3-other")
    pair, splits = pair_of_files(*onnx_files(), data=str(folder))
    assert of_labels(check(pair, splits.seeds)) == ""


def test_offsets_that_make_no_sense(refuses: Refuses) -> None:
    for offset in (-1, 1):
        with refuses("3 classes of the data are among 3", f"--labels-offset {offset}"):
            looked_at(onnx_files(), labels_offset=offset)
    with refuses("class subfolders", "--labels-offset 0"):
        pair_of_files(*onnx_files(), data=str(photos(flat=True)), labels_offset=0)


def test_few_classes_answered() -> None:
    """Classes by brightness; where it is labelled, the data's own classes are what is expected."""
    grey = torch.arange(40, 216, 5, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)

    def look(answered: int, labels: torch.Tensor | None = None) -> str:
        def answer(images: torch.Tensor) -> torch.Tensor:
            means = images.float().mean((1, 2, 3))[:, None]
            logits = -(means - torch.linspace(40, 215, answered)).abs()
            return torch.cat([logits, torch.full((len(images), 40 - answered), -1e3)], 1)

        pair = Pair.from_modules(
            answer, lambda images: answer(images) * 2, example=grey[:4], output="logits"
        )
        return " ".join(check(pair, as_split(grey, pair, labels)).warnings)

    assert "the original answers 3 of its 40 classes" in look(3)
    assert "of its 40 classes" not in look(20)
    assert "of its 40 classes" not in look(3, torch.arange(len(grey)) % 3)


def test_modules_of_other_classes_than_the_data(tmp_path: Path) -> None:
    shutil.copytree(photos(), tmp_path / "photos")

    def looked(classes: tuple[str, ...] | None) -> Preflight:
        def answer(images: torch.Tensor) -> torch.Tensor:
            means = images.float().mean((2, 3))
            return torch.cat([means.new_full((len(means), 1), -1e3), means], 1)

        example = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
        pair = Pair.from_modules(
            answer, lambda x: answer(x) * 2, example=example, classes=classes, output="logits"
        )
        return check(pair, str(tmp_path / "photos"))

    seen = looked(None)
    assert seen.original_accuracy is None
    assert "the data have 3 classes and the model 4" in of_labels(seen)
    assert "classes" in of_labels(seen)
    mended = looked(("none", *sorted(path.name for path in photos().iterdir())))
    assert mended.original_accuracy is not None
    assert mended.original_accuracy > 0.8


def inverted(model: onnx.ModelProto) -> None:
    """A model that was trained on negatives."""
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = "negative" if name == "image" else name
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), "white"))
    model.graph.node.insert(0, onnx.helper.make_node("Sub", ["white", "image"], ["negative"]))


@pytest.mark.parametrize("flat", [False, True])
def test_negatives(tmp_path: Path, flat: bool) -> None:
    files = remade(tmp_path, inverted)

    def look(overrides: Overrides | None = None) -> Preflight:
        pair, splits = pair_of_files(*files, data=str(photos(flat=flat)), overrides=overrides)
        return check(pair, splits.seeds)

    said = " ".join(as_options([*look().faults, *look().warnings]))
    if not flat:  # unlabelled negatives are as good as any images of this small network
        assert "with inverted pixels" in said
        assert "pass --range 1,0" in said
    mended = look(Overrides(range=(1.0, 0.0)))
    assert mended.faults == ()
    assert not any("inverted" in text for text in mended.warnings)
