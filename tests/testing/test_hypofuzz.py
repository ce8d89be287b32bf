"""HypoFuzz runs the same property tests, and leaves what it finds to the database."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compd.corpus import Corpus

TESTS = Path(__file__).parent.parent
TEST = """
from hypothesis import given, settings
from tiny import tiny_pair

from compd.testing import CorpusDatabase, assert_agrees, corpus_images

pair = tiny_pair()


@settings(deadline=None, database=CorpusDatabase("kept"))
@given(corpus_images("found"))
def test_property(image):
    assert_agrees(pair, image)
"""


@pytest.mark.slow
def test_what_hypofuzz_finds_pytest_replays_and_stores(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("hypofuzz", reason="needs hypofuzz")
    shutil.copytree(project / "found", tmp_path / "found")
    (tmp_path / "test_theirs.py").write_text(TEST, encoding="utf-8")
    path = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    command = [
        sys.executable, "-m", "hypothesis", "fuzz", "--no-dashboard", "-n", "1", "--",
        "test_theirs.py",
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=tmp_path, env=environment) as fuzzing:
        end = time.monotonic() + 60
        while not any((tmp_path / "kept").rglob("*/*/*")) and time.monotonic() < end:
            if fuzzing.poll() is not None:
                break
            time.sleep(0.5)
        fuzzing.terminate()
    assert any((tmp_path / "kept").rglob("*/*/*"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_theirs.py"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    assert len(Corpus(tmp_path / "kept")) == 1
