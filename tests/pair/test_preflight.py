"""A look at a pair before a search: each mistake named, with what to pass instead."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from PIL import Image
from tiny import SIZE, tiny_pair, tiny_splits
from tiny_files import MEAN, STD, onnx_files, photos

from compd.cli.wording import as_options
from compd.pair.from_files import pair_of_files
from compd.pair.preflight import Preflight, check
from compd.pair.readings import information
from compd.runtimes import Overrides

Refuses = Callable[..., Any]

BARE = Overrides(mean=(MEAN,), std=(STD,))


def look(
    original: Path,
    deployed: Path,
    *,
    flat: bool = False,
    allow_float: bool = False,
    deployed_overrides: Overrides | None = None,
    overrides: Overrides | None = None,
) -> Preflight:
    pair, splits = pair_of_files(
        original,
        deployed,
        data=str(photos(flat=flat)),
        overrides=overrides,
        deployed_overrides=deployed_overrides,
    )
    return check(pair, splits.seeds, allow_float=allow_float)


def test_a_good_pair() -> None:
    seen = look(*onnx_files())
    assert seen.faults == ()
    (warning,) = seen.warnings  # 8-bit weights, unsigned activations
    assert "without VNNI" in warning
    assert seen.original_accuracy is not None
    assert seen.original_accuracy > 0.8
    assert seen.shadow == "converted"
    assert seen.shadow_disagreement is not None
    assert seen.shadow_disagreement < 0.03
    original, deployed = seen.files
    assert original.int8_share == 0
    assert deployed.int8_share is not None
    assert deployed.int8_share > 0.6  # the normalisation in front is float
    assert deployed.census["int8"]["QLinearConv"] == 2
    assert "int8" in (deployed.compressed or ())
    assert original.compressed == ()
    assert seen.clipped is None
    assert Preflight(**{**seen.to_json(), "files": seen.files, "faults": (), "warnings": ()})


def test_a_pair_of_ours() -> None:
    seen = check(tiny_pair(), tiny_splits().seeds)
    assert seen.faults == ()
    assert seen.shadow == "own"
    assert seen.clipped is not None
    assert 0 <= seen.clipped < 0.05
    assert seen.clipped_layer
    assert seen.natural_disagreement < 0.05
    census = seen.files[1].census
    assert census["int8"]["ConvReLU2d"] == 1
    assert census["float32"] == {"sub": 1, "truediv": 1}  # the normalisation in front


def test_flips_have_a_direction_and_classes_that_lose_are_named() -> None:
    seeds = tiny_splits().seeds
    assert not any("lose" in warning for warning in check(tiny_pair(), seeds).warnings)
    pair = tiny_pair()
    run = pair.deployed.run
    fewer_red = torch.tensor([-6.0, 0.0, 0.0])
    pair.deployed.run = lambda images: run(images) + fewer_red  # type: ignore[method-assign]
    seen = check(pair, seeds)
    assert seen.flips is not None
    flips = seen.to_json()["flips"]
    assert flips["only_original"] > 10 > flips["only_deployed"]
    assert flips["negative"]["low"] < flips["only_original"] / seen.images
    (warning,) = [one for one in seen.warnings if "lose" in one]
    assert "red (only the original is right on" in warning
    assert "blue" not in warning


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        (Overrides(mean=(MEAN,), std=(STD,), bgr=True), "without --bgr"),
        (Overrides(), "normalisation"),
        (Overrides(range=(0.0, 255.0)), "--range"),
    ],
    ids=["BGR", "no normalisation", "0..255"],
)
def test_both_files_misread(overrides: Overrides, hint: str, flat: bool) -> None:
    """What the user says wins, and an unlabelled guess is none against a default, either."""
    if flat and overrides.bgr:
        return  # without labels, red read as blue makes as much sense
    if not flat and overrides == Overrides():
        return  # this small network is as right without
    seen = look(*onnx_files(normalised=False), overrides=overrides, flat=flat)
    said = " ".join(as_options([*seen.warnings, *seen.faults]))
    assert "may have been trained on images that are read otherwise" in said
    assert ("said by you" in said) == (overrides != Overrides())
    assert hint in said or not overrides.bgr
    assert not seen.faults or "two models that agree" in seen.faults[0]


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("overrides", "hint"),
    [
        (Overrides(bgr=True), "bgr=no"),
        (Overrides(mean=(0.0,), std=(1.0,)), "normalisation"),
        (Overrides(range=(0.0, 255.0)), "--deployed-input"),
    ],
    ids=["BGR", "no normalisation", "0..255"],
)
def test_the_deployed_file_misread(overrides: Overrides, hint: str, flat: bool) -> None:
    files = onnx_files(normalised=False)
    seen = look(*files, overrides=BARE, deployed_overrides=overrides, flat=flat)
    said = " ".join([*seen.warnings, *seen.faults])
    assert "the deployed 'bare.int8.onnx' may have been trained" in said
    assert "agreement" in said
    assert "said by you" in said
    assert hint in said or not overrides.bgr
    assert not seen.faults or "two models that agree" in seen.faults[0]


def bgr(path: Path, out: Path) -> Path:
    """The file with its first convolution's red and blue exchanged."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tuple(tensor.dims) == (8, 3, 3, 3):
            weights = onnx.numpy_helper.to_array(tensor)[:, ::-1]
            tensor.CopyFrom(onnx.numpy_helper.from_array(weights.copy(), tensor.name))
    onnx.save(model, out)
    return out


def test_a_file_of_bgr_that_nobody_says_so_of(tmp_path: Path, refuses: Refuses) -> None:
    original, deployed = onnx_files()
    blue, small = bgr(original, tmp_path / "a.onnx"), bgr(deployed, tmp_path / "b.onnx")
    with refuses("the original 'a.onnx' was trained", "instead of", "pass --bgr"):
        look(blue, small).raise_if_faulty()
    with refuses("the deployed 'b.onnx' was trained", "agreement", "--deployed-input 'bgr'"):
        look(original, small, flat=True).raise_if_faulty()
    assert look(blue, small, overrides=Overrides(bgr=True)).faults == ()
    unlabelled = look(blue, small, flat=True)  # red read as blue makes as much sense
    assert unlabelled.faults == ()


def test_what_the_file_says_comes_second(tmp_path: Path) -> None:
    model = onnx.load(onnx_files()[0])
    model.metadata_props.add(key="compd.mean", value="2.5")
    onnx.save(model, tmp_path / "said.onnx")
    seen = look(tmp_path / "said.onnx", onnx_files()[1])
    said = " ".join([*seen.warnings, *seen.faults])
    assert "said by the file: mean" in said
    assert (
        look(tmp_path / "said.onnx", onnx_files()[1], overrides=Overrides(mean=(0.0,))).faults == ()
    )


def test_a_guess_of_the_original_hides_no_fault_of_the_deployed(
    tmp_path: Path, refuses: Refuses
) -> None:
    """Without labels, the original may only be guessed at; the deployed one has its answers."""
    original, deployed = onnx_files(normalised=False)
    small = bgr(deployed, tmp_path / "b.onnx")
    pair, splits = pair_of_files(original, small, data=str(photos(flat=True)))
    seen = check(pair, splits.seeds)
    assert any("the original 'bare.onnx' may have been" in text for text in seen.warnings)
    with refuses("the deployed 'b.onnx' was trained", "agreement"):
        seen.raise_if_faulty()


def test_one_answer_to_all(tmp_path: Path) -> None:
    """Thirty photographs of one thing are no fault where nobody says that they are of several."""
    red = torch.zeros(30, SIZE, SIZE, 3, dtype=torch.uint8)
    red[..., 0] = torch.arange(100, 250, 5)[:, None, None]
    for i, image in enumerate(red):
        Image.fromarray(image.numpy()).save(tmp_path / f"{i}.png")
    seen = look_at(tmp_path)
    assert seen.faults == ()
    assert seen.classes_answered == 1
    assert any("the same answer to all" in warning for warning in seen.warnings)


def look_at(folder: Path) -> Preflight:
    pair, splits = pair_of_files(*onnx_files(), data=str(folder))
    return check(pair, splits.seeds)


def test_the_wrong_layout(refuses: Refuses) -> None:
    with refuses("--layout", "NHWC", "whole.onnx"):
        look(*onnx_files(), overrides=Overrides(layout="NHWC"))


def test_the_same_file_twice(refuses: Refuses) -> None:
    with refuses("the same one"):
        look(onnx_files()[0], onnx_files()[0]).raise_if_faulty()


def test_a_float_file_as_int8(tmp_path: Path, refuses: Refuses) -> None:
    model = onnx.load(onnx_files()[0])
    model.doc_string = "another file"
    onnx.save(model, tmp_path / "float.onnx")
    with refuses("compressed file", "float.onnx", "--allow-float"):
        look(onnx_files()[0], tmp_path / "float.onnx").raise_if_faulty()
    assert look(onnx_files()[0], tmp_path / "float.onnx", allow_float=True).faults == ()


def test_classes_in_another_order(tmp_path: Path, refuses: Refuses) -> None:
    model = onnx.load(onnx_files()[1])
    last = model.graph.output[0].name
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(torch.tensor([1, 2, 0]).numpy(), "order")
    )
    model.graph.node.append(onnx.helper.make_node("Gather", [last, "order"], ["out"], axis=1))
    model.graph.output[0].name = "out"
    onnx.save(model, tmp_path / "other.onnx")
    with refuses("classes in the same order", "renamed"):
        look(onnx_files()[0], tmp_path / "other.onnx").raise_if_faulty()


def softmax(path: Path, out: Path) -> Path:
    model = onnx.load(path)
    last = model.graph.output[0].name
    model.graph.node.append(onnx.helper.make_node("Softmax", [last], ["p"], axis=1))
    # behind a sum with 0, so that the file does not tell
    model.graph.initializer.append(onnx.numpy_helper.from_array(torch.zeros(1).numpy(), "nothing"))
    model.graph.node.append(onnx.helper.make_node("Add", ["p", "nothing"], ["out"]))
    model.graph.output[0].name = "out"
    onnx.save(model, out)
    return out


def test_probabilities_taken_for_logits(tmp_path: Path, refuses: Refuses) -> None:
    file = softmax(onnx_files()[0], tmp_path / "p.onnx")
    assert look(file, onnx_files()[1]).faults == ()  # its values tell
    with refuses("add up to 1", "--output probs", "p.onnx"):
        look(file, onnx_files()[1], overrides=Overrides(output="logits")).raise_if_faulty()
    with refuses("do not add up", "--output logits"):
        look(*onnx_files(), overrides=Overrides(output="probs")).raise_if_faulty()


def test_information() -> None:
    assert information(torch.eye(3) * 50) == pytest.approx(1.0986, abs=1e-3)  # sure, all different
    assert information(torch.zeros(3, 3)) == pytest.approx(0.0, abs=1e-6)  # sure of nothing
    assert information(torch.tensor([[50.0, 0, 0]] * 3)) == pytest.approx(0.0, abs=1e-6)


def test_swapped_files(refuses: Refuses) -> None:
    original, deployed = onnx_files()
    with refuses("swapped", "whole.onnx"):
        look(deployed, original).raise_if_faulty()


def test_labels_in_another_order(tmp_path: Path, refuses: Refuses) -> None:
    names = [path.name for path in sorted(photos().iterdir())]
    (tmp_path / "labels.txt").write_text("\n".join([names[1], names[2], names[0]]))
    pair, splits = pair_of_files(*onnx_files(), data=str(photos()), labels=tmp_path / "labels.txt")
    with refuses("labels in the order of the model's classes", "renamed"):
        check(pair, splits.seeds).raise_if_faulty()


def test_few_images(tmp_path: Path) -> None:
    for file in [*sorted(photos(flat=True).iterdir())][:5]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    pair, splits = pair_of_files(*onnx_files(), data=str(tmp_path))
    assert any("say little" in warning for warning in check(pair, splits.seeds).warnings)
