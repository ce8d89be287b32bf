"""Outputs recorded elsewhere: written by a program that knows nothing of compd."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compd.corpus.inputs import export_inputs
from compd.runtimes import open_file

Refuses = Callable[..., Any]

# What a user would run on the device: Pillow, numpy and the standard library only.
ON_THE_DEVICE = """
import json, pathlib, sys
import numpy
from PIL import Image
folder = pathlib.Path(sys.argv[1])
assert "compd" not in sys.modules
with open(sys.argv[2], "w") as out:
    out.write(json.dumps({"device": "a board", "output": "logits"}) + "\\n")
    for line in (folder / "inputs.jsonl").read_text().splitlines():
        entry = json.loads(line)
        x = numpy.asarray(Image.open(folder / entry["file_name"])).astype(float)
        logits = [x[..., c].mean() / 255 for c in range(x.shape[2])]
        out.write(json.dumps({"sha256": entry["sha256"], "logits": logits}) + "\\n")
"""

IMAGES = torch.randint(
    0, 256, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)


def test_there_and_back(tmp_path: Path) -> None:
    assert export_inputs([*IMAGES, IMAGES[0]], tmp_path / "inputs") == 4  # each once
    outputs = tmp_path / "outputs.jsonl"
    command = [sys.executable, "-c", ON_THE_DEVICE, str(tmp_path / "inputs"), str(outputs)]
    subprocess.run(command, check=True)
    runtime = open_file(outputs)
    assert runtime.engine == "recorded-a board"
    want = IMAGES.float().mean((2, 3)) / 255
    torch.testing.assert_close(runtime.run(IMAGES), want)
    torch.testing.assert_close(runtime.run(IMAGES.flip(0)), want.flip(0))
    assert export_inputs([*IMAGES], tmp_path / "inputs") == 4  # the same folder once more


def test_unknown_image(tmp_path: Path, refuses: Refuses) -> None:
    table = tmp_path / "o.jsonl"
    table.write_text(json.dumps({"sha256": "0" * 64, "logits": [1, 2, 3]}))
    with refuses("4 of 4 others", "o.jsonl", "compd export-inputs"):
        open_file(table).run(IMAGES)


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("", "none in"),
        ("{", "line 2"),
        ('{"sha256": "ab", "logits": [1, 2]}', "sha256="),
        (f'{{"sha256": "{"0" * 64}", "logits": []}}', "0 logits"),
        (f'{{"sha256": "{"0" * 64}", "logits": [1]}}', "one number"),
        (f'{{"sha256": "{"0" * 64}", "logits": "12"}}', "line 2"),
        ("[" * 100_000, "RecursionError"),
        ("[1, 2]", "line 2"),
    ],
)
def test_wrong_tables(tmp_path: Path, refuses: Refuses, line: str, culprit: str) -> None:
    table = tmp_path / "o.jsonl"
    table.write_text('{"device": "x"}\n' + line + "\n")
    with refuses("expected", culprit, "o.jsonl"):
        open_file(table)


def test_other_numbers_of_logits(tmp_path: Path, refuses: Refuses) -> None:
    table = tmp_path / "o.jsonl"
    rows = [{"sha256": c * 64, "logits": [0.0] * n} for c, n in (("0", 3), ("1", 4))]
    table.write_text("\n".join(map(json.dumps, rows)))
    with refuses("another number than before", "line 2"):
        open_file(table)


def test_folder_of_other_things(tmp_path: Path, refuses: Refuses) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with refuses("new folder", tmp_path.name):
        export_inputs([*IMAGES], tmp_path)


@pytest.mark.parametrize("name", ["model.pb", "model", "weights.bin"])
def test_suffixes_nobody_knows(tmp_path: Path, refuses: Refuses, name: str) -> None:
    with refuses(".onnx", name):
        open_file(tmp_path / name)


@pytest.mark.parametrize("name", ["model.onnx", "model.tflite", "model.xml", "out.jsonl"])
def test_files_that_are_not_there_or_empty(tmp_path: Path, refuses: Refuses, name: str) -> None:
    with refuses("there is none", name):
        open_file(tmp_path / name)
    (tmp_path / name).touch()
    with refuses("0 bytes", name):
        open_file(tmp_path / name)
