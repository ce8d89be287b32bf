"""A .pt2 file at the command line: written, refused, and judged once it is trusted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torchao", reason="needs the extra torchao")

Run = Callable[..., Any]
MODEL = ["--model", "lenet5", "--epochs", "2", "--compress", "ptq"]


@pytest.mark.slow
def test_from_export_to_check(run: Run, cached: Any, tmp_path: Path) -> None:
    file, told = tmp_path / "lenet5.pt2", tmp_path / "check.json"
    done = run("export", "--pair", cached.pair, "--to", "torchao", "--out", file, "--threads", 1)
    assert done.code == 0, done.err
    assert "rows all[865:972]" in done.out
    assert "(32, 3, 32, 32)" in done.out
    for pair in (["--pair", cached.pair], MODEL):
        check = ["check", *pair, "--deployed", file, "--threads", 1, "--json", told]
        refused = run(*check)
        assert refused.code == 2
        assert refused.err.startswith("compd: expected --trust for")  # before anything is built
        done = run(*check, "--trust")
        assert done.code == 0, done.err
        assert "torchao-onednn" in done.out
        content = json.loads(told.read_text())
        assert content["faults"] == []
        assert content["natural_disagreement"] < 0.1
        assert "int8" in content["files"][1]["census"]
    runtimes = ["--runtimes", f"original,{file}", "--seeds", 40, "--threads", 1]
    assert "--trust" in run("compare", "--pair", cached.pair, *runtimes).err
    for pair in (["--pair", cached.pair], MODEL):  # no --deployed that it could be said of
        done = run("compare", *pair, *runtimes, "--trust")
        assert done.code == 0, done.err
