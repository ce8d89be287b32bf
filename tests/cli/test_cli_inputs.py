"""Shifted images for a device that cannot be reached, and its answers back in a study."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tiny_files import onnx_files, photos

from compd.runtimes import open_file

Run = Callable[..., Any]

KINDS = ("contrast,saturate,gaussian_noise:2", "--severities", "5", "--images", "24")


def on_the_device(folder: Path, model: Path, outputs: Path) -> int:
    """What a user would run there; how many images it had."""
    runtime = open_file(model)
    lines = (folder / "inputs.jsonl").read_text().splitlines()
    with outputs.open("w") as out:
        for line in lines:
            entry = json.loads(line)
            pixels = np.array(Image.open(folder / entry["file_name"]))
            image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            logits = runtime.run(image)[0].tolist()
            out.write(json.dumps({"sha256": entry["sha256"], "logits": logits}) + "\n")
    return len(lines)


def test_a_study_reads_back_what_a_device_said(tmp_path: Path, run: Run) -> None:
    original, deployed = onnx_files()
    named = ("--original", str(original), "--data", str(photos()))
    inputs, outputs = tmp_path / "inputs", tmp_path / "outputs.jsonl"
    told = run("export-inputs", *named, "--shifts", *KINDS, "--out", str(inputs))
    assert told.code == 0, told.err
    assert "clean and 3 shifts" in told.out
    then = next(line for line in told.out.splitlines() if "compd study shifts" in line)
    assert "--deployed outputs.jsonl" in then
    assert f"--original {original}" in then
    assert on_the_device(inputs, deployed, outputs) == 24 * 4
    found = []
    for file in (outputs, deployed):
        how = ("study", "shifts", *named, "--deployed", str(file), "--kinds", *KINDS)
        done = run(*how, "--json", str(tmp_path / "s.json"))
        assert done.code == 0, done.err
        found.append(json.loads((tmp_path / "s.json").read_text())["shifts"])
    for one in found:
        for each in one["sets"]:
            each.pop("kl")  # of logits that were rounded in between
    assert found[0]["sets"] == found[1]["sets"]
    assert {one["kind"] for one in found[0]["sets"]} >= {"contrast", "gaussian_noise"}


def test_unknown_kinds_are_one_line(tmp_path: Path, run: Run) -> None:
    done = run("export-inputs", "--shifts", "fogg", "--out", str(tmp_path / "inputs"))
    assert done.code == 2
    assert "fogg" in done.err
    assert not (tmp_path / "inputs").exists()
