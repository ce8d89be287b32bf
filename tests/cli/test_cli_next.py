"""Each line ``next: …`` is a command that runs as it is, also with a model of one's own."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_files import onnx_files, photos

Run = Callable[..., Any]
T = ("--threads", 1)
FACTORY = """import torch
from torch import nn


def make():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(294, 10)
    )
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with blanks in its name, and a factory in it."""
    folder = tmp_path / "my work"
    folder.mkdir()
    (folder / "somebodys.py").write_text(FACTORY)
    (folder / "pyproject.toml").write_text("[tool.compd.gate]\nseeds = 4\n")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return folder


def steps(ran: Any) -> list[list[str]]:
    """The commands that an output says to type next, as a shell reads them."""
    found = [line.removeprefix("next: ") for line in ran.out.splitlines() if line[:5] == "next:"]
    return [shlex.split(line, comments=True) for line in found]


def follow(run: Run, ran: Any, *, count: int, more: tuple[object, ...] = ()) -> list[Any]:
    """Run them; 1 is a verdict."""
    assert ran.code in (0, 1), ran.err
    commands = steps(ran)
    assert len(commands) == count, ran.out
    done = []
    for name, *words in commands:
        assert name == "compd"
        done.append(run(*words, *more))
        assert done[-1].code in (0, 1), f"{words}\n{done[-1].err}"
    return done


@pytest.mark.slow
@pytest.mark.usefixtures("short_verdict")
def test_from_a_factory_to_a_repaired_pair(run: Run, cached: Any, here: Path) -> None:
    model = ("--model", "somebodys:make", "--epochs", 2, "--compress", "ptq:weight_bits=4")
    search = ("--seeds", 12, "--eps", 24)
    trained = run("train", "--model", "somebodys:make", "--epochs", 2, "--out", "my w.safetensors")
    follow(run, trained, count=1, more=("--compress", "ptq", "--seeds", 2, *T))
    fuzzed = run("fuzz", *model, *search, "--corpus", "my corpus", *T)
    follow(run, fuzzed, count=2)
    made = run("compress", *model, "--out", "my pair", *T)
    (searched,) = follow(run, made, count=1, more=search)
    follow(run, searched, count=2)
    pair = ("--pair", "my pair", "--trust")
    compared = run("compare", *pair, "--corpus", "my corpus", "--runtimes", "original,deployed", *T)
    follow(run, compared, count=1)
    listed = run("baseline", "list", "--corpus", "my corpus")
    follow(run, listed, count=1)
    Path("my corpus/baseline.txt").unlink()
    gate = ("gate", *pair, "--corpus", "my corpus", "--baseline", "my baseline.txt", *T)
    Path("my baseline.txt").touch()
    red = run(*gate)
    assert red.code == 1
    follow(run, red, count=2)
    assert Path("my baseline.txt").read_text().count("\n") == 1  # the one that was named
    line = "{}\t1 → 2\t0.10\tits entry is gone\n".format("e" * 64)
    Path("my baseline.txt").write_text(line)
    follow(run, run(*gate, "--only-replay", "--max-new", 99), count=3)
    assert "e" * 64 not in Path("my baseline.txt").read_text()
    hunted = run("hunt", *pair, "--corpus", "my corpus", "--rounds", 1, "--seeds", 4, *T)
    follow(run, hunted, count=1)
    repair = ("--rounds", 1, "--steps", 6, "--seeds", 6, "--out", "my repaired", *T)
    follow(run, run("repair", *pair, "--corpus", "my corpus", *repair), count=2, more=T)


@pytest.mark.slow
def test_of_files_the_options_come_again(run: Run, here: Path) -> None:
    original, deployed = onnx_files(normalised=False)
    read = ("--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25")
    pair = ("--original", original, "--deployed", deployed, "--data", photos(), *read)
    follow(run, run("fuzz", *pair, "--seeds", 12, "--corpus", "found", *T), count=2)
    red = run("gate", *pair, "--corpus", "found", *T)
    assert red.code == 1
    follow(run, red, count=2)
    hunted = run("hunt", *pair, "--corpus", "found", "--rounds", 1, "--seeds", 4, *T)
    follow(run, hunted, count=1)


def test_what_found_nothing_says_no_next_command(run: Run, cached: Any, here: Path) -> None:
    ran = run(
        "fuzz",
        "--pair",
        cached.pair,
        "--seeds",
        2,
        "--strategy",
        "dflare",
        "--queries",
        1,
        "--eps",
        1,
    )
    assert ran.code == 0
    assert steps(ran) == []
    assert "nothing deviated so far; try more --seeds, more --queries" in ran.out
