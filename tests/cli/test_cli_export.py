"""``compd export`` from the outside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.exporting import TARGETS

Run = Callable[..., Any]


def test_the_help_names_every_target(run: Run) -> None:
    said = "".join(run("export", "--help").out.split())  # lines break within names, too
    assert re.search(rf"--to(?:<str>|TEXT)({'|'.join(TARGETS)}|,)+\.onnx-qdq,", said)
    assert all(f"{name}," in said or f"{name}." in said for name in TARGETS)


def test_export_writes_and_says_what(run: Run, cached: Any, tmp_path: Path) -> None:
    out = tmp_path / "new" / "model.safetensors"
    told = tmp_path / "told.json"
    ran = run("export", "--pair", cached.pair, "--to", "safetensors", "--out", out, "--json", told)
    assert ran.code == 0, ran.err
    content = json.loads(told.read_text())
    assert content["of"] == "deployed"
    assert list(content["sha256"]) == [str(out)]
    assert content["sha256"][str(out)] in ran.out
    assert f"{out.stat().st_size:,} bytes" in ran.out
    assert "pixels in 0..1" in ran.out
    assert "not measured" in ran.out


def test_export_builds_a_pair_from_a_model(run: Run, cached: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    model = ["--model", "lenet5", "--epochs", "2", "--compress", "ptq"]
    out = tmp_path / "m.onnx"
    ran = run("export", *model, "--to", "onnx-ptq", "--reduce-range", "--out", out)
    assert ran.code == 0, ran.err
    assert "weights int8 of 7 bits" in ran.out
    assert "rows all[865:972]" in ran.out
    assert out.is_file()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--to", "onx", "--out", "m.onnx"], "did you mean 'onnx'"),
        (["--to", "onnx", "--out", "m.pt"], "expected a .onnx file"),
        (["--to", "onnx"], "--out"),
        (["--out", "m.onnx"], "--to"),
        (["--to", "safetensors", "--out", "/dev/null/m.safetensors"], "a file is in the way"),
        (["--to", "onnx", "--out", "m.onnx", "--of", "shadow"], "of='shadow'"),
        (["--to", "onnx", "--out", "m.onnx", "--per-tensor"], "per_channel with target onnx-ptq"),
    ],
)
def test_export_refuses_in_one_line(
    run: Run,
    cached: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    part: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("export", "--pair", cached.pair, *arguments)
    lines = [line for line in ran.err.splitlines() if line.startswith("compd:")]
    assert ran.code == 2, ran.err
    assert len(lines) == 1, ran.err
    assert part in lines[0]
    assert list(tmp_path.iterdir()) == []
