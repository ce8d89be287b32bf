"""The life of a baseline, as a team lives it in the shell."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from commands import run_command

POLICY = """
[tool.compd.gate]
min-severity = 0.25
seeds = 20
goal = "severe"
eps = 16
"""
# A layer of the int8 model loses some of its channels: what a slip in a pruning script does.
PRUNE = """
import torch
from pathlib import Path
from compd import Pair

pair = Pair.load("pair")
shadow = pair.shadow
with torch.no_grad():
    shadow.net.conv2.weight[:9] = 0
Pair(pair.spec, pair.original, shadow, device=pair.device).save(Path("pruned"))
"""
MODEL = "--model lenet5 --epochs 8 --compress ptq --threads 1"


@pytest.mark.slow(2)
def test_fuzz_accept_change_gate_repair_prune(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "COMPD_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "160",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }

    here = tmp_path / "here"
    here.mkdir()

    def shell(line: str, code: int) -> str:
        done = run_command(line, here, environment)
        assert done.returncode == code, f"$ {line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    shell(f"compd compress {MODEL} --out pair", 0)
    shell(f"compd compress {MODEL.replace('ptq', 'qat')} --out again", 0)
    (here / "pyproject.toml").write_text("[tool.compd.gate]\nseeds = 20\n")
    seeds = 2
    while True:  # two deviations, whatever this machine's training came to
        shell(f"compd fuzz --pair pair --corpus deviations --seeds {seeds} --threads 1", 0)
        found = sorted(path.stem for path in (here / "deviations/images").rglob("*.png"))
        if len(found) >= 2:
            break
        seeds += 1
    gate = "compd gate --corpus deviations"
    search = f"--seeds {seeds}"

    # what nobody has accepted fails, and a reason is needed to accept
    printed = shell(f"{gate} --pair pair {search}", 1)
    assert f"{len(found)} new" in printed
    shell(f"compd baseline accept {found[0][:12]} --corpus deviations", 2)
    for number, name in enumerate(found):
        shell(
            f"compd baseline accept {name[:12]} --reason 'seen, number {number}' "
            "--corpus deviations",
            0,
        )
    printed = shell(f"{gate} --pair pair {search}", 0)
    assert f"{len(found)} accepted" in printed

    # the same network, compressed again, deviates in other pixels, and is no worse
    assert (here / "deviations" / "search.jsonl").is_file()
    printed = shell(f"{gate} --pair again --out again-new", 0)
    assert "recorded" in printed
    assert not list((here / "again-new/images").rglob("*.png"))
    # and so is a corpus that lost the seeds that the search starts from
    shell("compd corpus minimise --corpus deviations --pair pair --subset few", 0)
    shell("compd baseline accept --all --reason 'seen' --corpus few --pair pair", 0)
    shell("compd gate --corpus few --pair pair", 0)
    shell("compd gate --corpus few --pair again", 0)

    # the team decides that mild ones may be; a layer that lost channels is another matter
    (here / "pyproject.toml").write_text(POLICY)
    (here / "prune.py").write_text(PRUNE)
    shell("python prune.py", 0)
    again = "--all --reason 'as the policy has it' --pair pair"
    shell(f"compd baseline accept {again} --corpus deviations", 0)
    printed = shell(
        f"{gate} --pair pruned --json gate.json --junit gate.xml --sarif gate.sarif "
        "--summary gate.md --out slipped",
        1,
    )
    result = json.loads((here / "gate.json").read_text())
    named = [one for one in result["deviations"] if one["status"] == "new"]
    assert {one["found"] for one in named} <= {"corpus", "search"}
    worse = {one["seed_sha256"] for one in result["compared"]["worse"]}
    assert worse
    assert {one["seed_sha256"] for one in named if one["found"] == "search"} <= worse
    assert all(one["severity"] >= 0.25 for one in named)
    assert named[0]["sha256"][:12] in printed
    picture = next((here / "slipped" / "images").rglob("*.png"))
    assert "deviates" in shell(f"compd replay {picture} --pair pruned --threads 1", 1)

    # repaired, it passes, and what no longer deviates leaves the baseline
    shell(
        "compd repair --pair pruned --corpus slipped --out repaired --rounds 1 --steps 100 "
        "--seeds 6 --threads 1",
        0,
    )
    printed = shell(f"{gate} --pair repaired", 0)
    counts = next(line for line in printed.splitlines() if line.startswith("deviations"))
    before = (here / "deviations" / "baseline.txt").read_text().splitlines()
    shell("compd baseline prune --corpus deviations --pair repaired", 0)
    after = (here / "deviations" / "baseline.txt").read_text().splitlines()
    assert set(after) <= set(before)
    gone = sorted(set(before) - set(after))
    assert (f"{len(gone)} stale" in counts) == bool(gone)
    assert all(line[:12] in printed for line in gone[:20])
