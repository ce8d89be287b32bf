"""The built wheel, in an empty project, by a process that knows nothing of this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEST = """
from hypothesis import given, settings

from compd import Pair
from compd.testing import assert_agrees, corpus_images

pair = Pair.load("pair")


@settings(deadline=None, database=None, max_examples=10)
@given(corpus_images("found"))
def test_property(image):
    assert_agrees(pair, image)


def test_fixture(compd_pair):
    assert compd_pair.classes == pair.classes
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content; nothing is downloaded."""
    pytest.importorskip("hatchling", reason="needs hatchling (compd[dev])")
    work = tmp_path_factory.mktemp("wheel")
    # no build folder in the tree
    for name in ("compd", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, work / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, work / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*build, str(work), "-w", str(work)], capture_output=True, text=True, check=False
    )
    if done.returncode and "No module named pip" in done.stderr:
        pytest.skip("needs pip")
    assert done.returncode == 0, done.stderr
    (wheel,) = work.glob("*.whl")
    target = work / "site"
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    return target


@pytest.mark.slow
def test_plugin_and_strategies_work_from_the_wheel(
    installed: Path, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "theirs"
    shutil.copytree(project, folder)
    (folder / "test_theirs.py").write_text(TEST, encoding="utf-8")
    shutil.copy(ROOT / "tests" / "tiny.py", folder)  # the network of the pair
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--rootdir",
            ".",
            "--compd-corpus",
            "found",
            "--compd-pair",
            "pair",
            "-p",
            "no:cacheprovider",
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "9 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "FAILED compd::found::" in done.stdout
    assert "FAILED test_theirs.py::test_property" in done.stdout
    assert str(ROOT / "compd") not in done.stdout + done.stderr
