"""Results of commands on standard output, in pipes, links and devices: real processes."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("name", ["-", "/dev/stdout"])
def test_json_on_standard_output_is_alone_there(name: str) -> None:
    done = compd(*STATS, "--json", name)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] > 0
    assert b"entries" in done.stderr  # what is for people
    assert Path("/dev/stdout").is_symlink()


def test_a_pipe_of_the_user(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    done = compd(*STATS, "--json", pipe)
    reader.join(20)
    assert done.returncode == 0, done.stderr
    assert json.loads(found[0])["entries"] > 0
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_device() -> None:
    before = Path("/dev/full").stat()
    done = compd(*STATS, "--json", "/dev/full")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"no space left" in done.stderr
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


def test_no_folder_is_made_of_standard_output(tmp_path: Path) -> None:
    done = compd("compress", "--model", "lenet5", "--out", "-", cwd=tmp_path)
    assert done.returncode == 2
    assert b"standard output" in done.stderr
    assert list(tmp_path.iterdir()) == []
