"""A command that fails, or is interrupted before it has anything to store, leaves no corpus."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compd.cli.display import Display
from compd.corpus import Corpus, reduction
from compd.errors import CompdError, InputError
from compd.search import Campaign

Run = Callable[..., Any]
DIGITS = Path(__file__).parents[2] / "corpora/digits-int8"
T = ("--threads", 1)
COMMANDS = {
    "fuzz": ("fuzz", "--corpus", "out"),
    "hunt": ("hunt", "--corpus", "out", "--rounds", 2, "--seeds", 4),
    "minimise": ("corpus", "minimise", "--corpus", "corpus", "--out", "out"),
    "subset": ("corpus", "minimise", "--corpus", "corpus", "--subset", "out"),
    "both": ("corpus", "minimise", "--corpus", "corpus", "--out", "out", "--subset", "out2"),
    "gate": ("gate", "--corpus", "corpus", "--out", "out", "--seeds", 4),
}


@pytest.fixture
def pair(cached: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    shutil.copytree(DIGITS, tmp_path / "corpus")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return ("--pair", cached.pair, *T)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"corpus", "pyproject.toml", "compd-cache"}


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupted_at_once(
    run: Run, pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    @contextmanager
    def interrupted(control: Display) -> Iterator[None]:
        control.stop()
        yield

    monkeypatch.setattr(Display, "interruptible", interrupted)
    ran = run(*COMMANDS[name], *pair)
    assert ran.code == 130, ran.err
    assert left(tmp_path) == set()
    assert "next:" not in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_failed(
    run: Run, pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fails(*given: Any, **named: Any) -> Any:
        raise InputError("expected to go on, got a failure")

    monkeypatch.setattr(Campaign, "steps", fails)
    monkeypatch.setattr(sys.modules["compd.corpus.minimise"], "batched", fails)
    monkeypatch.setattr(reduction, "select_subset", fails)
    ran = run(*COMMANDS[name], *pair)
    assert ran.code == 2
    assert "got a failure" in ran.err
    assert left(tmp_path) == set()


def test_a_finished_search_that_found_nothing_leaves_an_empty_one(
    run: Run, pair: Any, tmp_path: Path
) -> None:
    nothing = ("--strategy", "dflare", "--queries", 1, "--eps", 1, "--seeds", 2)
    ran = run("fuzz", *pair, *nothing, "--corpus", "out")
    assert ran.code == 0
    assert len(Corpus("out")) == 0
    assert "out has no entries" in run("corpus", "list", "--corpus", "out").out
    gated = run("gate", *pair, "--corpus", "out", "--only-replay")
    assert gated.code == 0, gated.err
    hunted = run("hunt", *pair, "--corpus", "hunted", "--rounds", 1, "--seeds", 1, "--eps", 1)
    assert hunted.code == 0, hunted.err
    assert Corpus("hunted").directory.is_dir()


def test_a_gate_whose_search_finds_nothing_new_makes_no_folder(
    run: Run, pair: Any, tmp_path: Path
) -> None:
    gate = ("gate", "--corpus", "corpus", *pair, "--out", "new", "--strategy", "pgd:steps=1")
    run(*gate, "--eps", 1, "--seeds", 1)
    assert left(tmp_path) <= {"new"}
    assert ("new" in left(tmp_path)) == bool(Path("new/images").exists())


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_anything_is_found(
    pair: Any, tmp_path: Path, number: signal.Signals
) -> None:
    endless = ("--strategy", "dflare", "--queries", 10**6, "--eps", 1, "--seeds", 2)
    words = (sys.executable, "-m", "compd", "fuzz", *pair, *endless, "--corpus", "out")
    with subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("searching:"):
                break
        process.send_signal(number)
        _, err = process.communicate(timeout=50)
    assert process.returncode == 130, err
    assert left(tmp_path) == set()


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    source = Corpus(DIGITS)
    entries = [(one, source.image(one), source.seed_image(one)) for one in list(source)[:2]]
    corpus = Corpus(tmp_path / "new" / "corpus", create=True)
    (tmp_path / "mine").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Corpus, "_write_pictures", full)
        for one in (corpus, Corpus(tmp_path / "mine", create=True)):
            with pytest.raises(CompdError, match="space"):
                one.add(entries)
    assert not corpus.directory.exists()
    assert list((tmp_path / "mine").iterdir()) == []  # a folder that was there stays
    assert corpus.add(entries) == 2
    assert len(Corpus(corpus.directory)) == 2


def test_nothing_is_added_to_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    corpus = Corpus(tmp_path / "corpus", create=True)
    assert corpus.add([]) == 0
    assert not corpus.directory.exists()
    corpus.make()
    corpus.make()
    assert {path.name for path in corpus.directory.iterdir()} == {
        "metadata.jsonl",
        ".gitattributes",
    }
