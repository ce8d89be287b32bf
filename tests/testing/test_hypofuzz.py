"""HypoFuzz runs the same property tests, with the same database."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
PROFILE = """
import os

from hypothesis import Phase, settings

from compd.testing import CorpusDatabase

phases = [Phase.reuse] if "REPLAY" in os.environ else list(Phase)
settings.register_profile(
    "mine", deadline=None, database=CorpusDatabase("kept"), phases=phases
)
settings.load_profile("mine")
"""
TEST = """
import pytest
from hypothesis import given
from tiny import tiny_pair

from compd.testing import assert_agrees, corpus_images

pair = tiny_pair()


# HypoFuzz files failures where Hypothesis looks for those of parametrised tests
@pytest.mark.parametrize("which", ["all"])
@given(image=corpus_images("found"))
def test_property(which, image):
    assert_agrees(pair, image)
"""


@pytest.mark.slow
def test_what_hypofuzz_finds_is_replayed_by_pytest(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("hypofuzz", reason="needs hypofuzz")
    shutil.copytree(project / "found", tmp_path / "found")
    (tmp_path / "test_theirs.py").write_text(TEST, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(PROFILE, encoding="utf-8")
    path = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    command = [
        sys.executable,
        "-c",
        "from hypothesis.extra.cli import main; main()",
        "fuzz",
        "--no-dashboard",
        "-n",
        "1",
        "--",
        "test_theirs.py",
    ]
    log = tmp_path / "log.txt"
    with log.open("w") as out:
        # Its workers outlive it when it is ended, so that all of them are, as one group.
        fuzzing = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=out, stderr=out, start_new_session=True
        )
        try:
            fuzzing.wait(40)
        except subprocess.TimeoutExpired:
            os.killpg(fuzzing.pid, signal.SIGKILL)
            fuzzing.wait()
    said = log.read_text()
    assert "using 1 process to fuzz 1 test" in said, said
    assert any((tmp_path / "kept" / ".hypothesis").iterdir())
    replay = [sys.executable, "-m", "pytest", "test_theirs.py"]
    ran = subprocess.run(
        replay, cwd=tmp_path, env={**environment, "REPLAY": "1"}, capture_output=True, text=True
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "the deployed model deviates" in ran.stdout
