"""Photographs and sizes on the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from tiny_files import WIDE, onnx_files, photos

Run = Callable[..., Any]


def files(wide: bool) -> list[object]:
    original, deployed = onnx_files(wide=wide)
    return ["--original", original, "--deployed", deployed]


def test_photographs_of_another_aspect_ratio(run: Run, tmp_path: Path) -> None:
    """The warning comes before the campaign, and what it says ends it."""
    data = ["--data", photos(wide=True)]
    ran = run("fuzz", *files(False), *data, "--seeds", 2, "--corpus", tmp_path / "corpus")
    assert ran.code == 0
    said, found = "images are not of the model's aspect ratio (16x16)", "effective deviation"
    assert 0 < ran.out.index(said) < ran.out.index(found)
    for way in (["--resize", "crop"], ["--crop", "14/16"], ["--resize", "pad"]):
        ran = run("check", *files(False), *data, *way)
        assert ran.code == 0
        assert said not in ran.out
    ran = run("check", *files(False), *data, "--resize", "pad", "--crop", "14/16")
    assert ran.code == 2
    assert "expected --resize crop with --crop" in ran.err


def test_files_that_take_no_squares(run: Run, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    pair = [*files(True), "--data", photos(wide=True), "--size", f"{WIDE[0]}x{WIDE[1]}"]
    assert run("fuzz", *pair, "--seeds", 3, "--corpus", corpus).code == 0
    assert run("corpus", "verify", *pair, "--corpus", corpus).code == 0
    assert run("corpus", "show", "--corpus", corpus, "--out", tmp_path / "a.png").code == 0
    record = json.loads((corpus / "metadata.jsonl").read_text().splitlines()[0])
    assert record["pair"]["model"]["size"] == [*WIDE]
    with Image.open(corpus / record["file_name"]) as picture:
        assert picture.size == (WIDE[1], WIDE[0])
    ran = run("check", *pair[:-1], "24x12")
    assert ran.code == 2
    assert "expected --size 12x24" in ran.err
    ran = run("check", *pair[:-1], "24by12")
    assert ran.code == 2
    assert "224 or 96x192 (height x width)" in ran.err
