"""OpenVINO models, made of the tiny ONNX files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openvino
import pytest
import torch
from tiny import tiny_splits
from tiny_files import onnx_files

from compd.pair.from_files import pair_of_files
from compd.runtimes import open_file

Refuses = Callable[..., Any]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("openvino")
    made = []
    for file in onnx_files():
        path = folder / f"{file.stem}.xml"
        openvino.save_model(openvino.convert_model(str(file)), path, compress_to_fp16=False)
        made.append(path)
    return made[0], made[1]


def test_answers(models: tuple[Path, Path]) -> None:
    images = tiny_splits().seeds.images
    for path, file in zip(models, onnx_files(), strict=True):
        here, there = open_file(path), open_file(file)
        assert here.format.layout == "NCHW"
        assert here.format.output == "logits"
        said, want = here.run(images), there.run(images)
        assert float((said.argmax(1) != want.argmax(1)).double().mean()) < 0.05
        plain = here.plain().run(images)
        assert float((plain.argmax(1) != said.argmax(1)).double().mean()) < 0.05
    torch.testing.assert_close(
        open_file(models[0]).run(images),
        open_file(onnx_files()[0]).run(images),
        atol=1e-3,
        rtol=1e-3,
    )


def test_census(models: tuple[Path, Path]) -> None:
    original, deployed = (open_file(path).census for path in models)
    assert "float32" in original
    assert not {"int8", "uint8"} & original.keys()
    assert {"int8", "uint8"} & deployed.keys()
    counted = {name for found in deployed.values() for name in found}
    assert not counted & {"Reorder", "Reshape", "FakeQuantize", "Const"}


def test_what_is_compressed(models: tuple[Path, Path], tmp_path: Path) -> None:
    assert open_file(models[0]).compressed == ()
    parts = open_file(models[1]).compressed
    assert parts is not None
    assert {"FakeQuantize", "int8"} <= set(parts)
    half = tmp_path / "half.xml"
    openvino.save_model(openvino.convert_model(str(onnx_files()[0])), half, compress_to_fp16=True)
    assert open_file(half).compressed == ("float16",)
    assert open_file(half).census == open_file(models[0]).census  # in float32


def test_gradients_are_those_of_the_files(models: tuple[Path, Path]) -> None:
    from tiny_files import photos

    for original in (onnx_files()[0], models[0]):
        pair, _ = pair_of_files(original, models[1], data=str(photos()))
        assert pair.has_shadow
        assert not pair.notes


def test_missing_and_broken(models: tuple[Path, Path], tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "a.xml").write_bytes(models[0].read_bytes())
    with refuses("a.bin"):
        open_file(tmp_path / "a.xml")
    (tmp_path / "a.bin").write_bytes(models[0].with_suffix(".bin").read_bytes())
    open_file(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<net>")
    with refuses("OpenVINO", "a.xml"):
        open_file(tmp_path / "a.xml")
