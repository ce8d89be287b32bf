"""Results of commands on standard output (real processes), in pipes, links and devices."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
STATS = ["corpus", "stats", "--corpus", str(ROOT / "corpora/digits-int8")]


def compd(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "compd", *map(str, arguments)],
        capture_output=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("name", [pytest.param("-", marks=pytest.mark.slow), "/dev/stdout"])
def test_json_on_standard_output_is_alone_there(name: str) -> None:
    done = compd(*STATS, "--json", name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] > 0
    assert b"entries" in done.stderr  # what is for people
    assert Path("/dev/stdout").is_symlink()


def test_a_pipe_of_the_user(run: Run, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    ran = run(*STATS, "--json", pipe)
    reader.join(20)
    assert ran.code == 0, ran.err
    assert json.loads(found[0])["entries"] > 0
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_device(run: Run) -> None:
    before = Path("/dev/full").stat()
    ran = run(*STATS, "--json", "/dev/full")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "no space left" in ran.err
    assert Path("/dev/full").stat().st_ino == before.st_ino


def test_a_picture_on_standard_output() -> None:
    done = compd("corpus", "show", "--corpus", ROOT / "corpora/digits-int8", "--out", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"\x89PNG")


@pytest.mark.slow
def test_the_outputs_of_the_gate(tmp_path: Path) -> None:
    target, link = tmp_path / "target.xml", tmp_path / "junit.xml"
    target.write_text("an earlier run's")
    link.symlink_to(target)
    sarif = tmp_path / "sarif"
    sarif.symlink_to(tmp_path / "not-there-yet")
    gate = [
        "gate",
        "--corpus",
        ROOT / "corpora/digits-int8",
        "--pair",
        ROOT / "corpora/pairs/digits-int8",
        "--only-replay",
    ]
    done = compd(*gate, "--junit", link, "--sarif", sarif, "--summary", "-", cwd=tmp_path)
    assert done.returncode in (0, 3), done.stderr
    assert link.is_symlink()
    assert sarif.is_symlink()
    assert target.read_text().startswith("<?xml")
    assert json.loads((tmp_path / "not-there-yet").read_text())["version"] == "2.1.0"
    assert done.stdout.startswith(b"## ")
    both = compd(*gate, "--json", "-", "--summary", "/dev/stdout", cwd=tmp_path)
    assert both.returncode == 2
    assert both.stderr.count(b"\n") == 1
    assert b"--json and --summary" in both.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_one_that_fails_keeps_no_other_from_being_written(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    done = compd(
        "gate",
        "--corpus",
        ROOT / "corpora/digits-int8",
        "--pair",
        ROOT / "corpora/pairs/digits-int8",
        "--only-replay",
        "--json",
        "/dev/full",
        "--junit",
        junit,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert b"no space left" in done.stderr
    assert junit.read_text().startswith("<?xml")
    assert b"accepted" in done.stdout  # and the verdict is there


def test_no_folder_is_made_of_standard_output(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("compress", "--model", "lenet5", "--out", "-")
    assert ran.code == 2
    assert "standard output" in ran.err
    assert list(tmp_path.iterdir()) == []
