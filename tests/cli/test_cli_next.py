"""Each line ``next: …`` is a command that runs as it is, also with a model of one's own."""

from __future__ import annotations

import html
import re
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


def page_steps(page: Path) -> list[list[str]]:
    """The commands of a page's first screen: that of the worst finding, and what is next."""
    first = page.read_text("utf-8").partition('class="corpus"')[0]
    said = re.findall(r'<p class="replay"><code>(.*?)</code>', first)
    return [shlex.split(html.unescape(one)) for one in said]


def follow_page(run: Run, page: Path, names: list[str], more: tuple[object, ...] = ()) -> None:
    """Run them; 1 is a verdict."""
    commands = page_steps(page)
    assert [words[1] for words in commands] == names
    for _, *words in commands:
        done = run(*words, *(more if words[0] in ("repair", "fuzz") else ()))
        assert done.code in (0, 1), f"{words}\n{done.err}"


def test_the_commands_of_a_page_run_as_they_are(run: Run, cached: Any, here: Path) -> None:
    pair = ("--model", "lenet5", "--epochs", 2, "--compress", "ptq", "--weight-bits", 4)
    search = ("--seeds", 4, "--eps", 64, "--corpus", "my corpus")
    found = run("fuzz", *pair, *search, "--report", "found.html", *T)
    assert found.code == 0, found.err
    names = ["replay", "baseline", "gate", "fuzz"]
    follow_page(run, Path("found.html"), names, more=("--seeds", 4, *T))
    gate = run("gate", *pair, "--corpus", "my corpus", "--out", "new", "--report", "gate.html", *T)
    assert gate.code in (0, 1), gate.err
    assert page_steps(Path("gate.html"))[-1][1] == "gate"
    none = ("--strategy", "dflare", "--queries", 1, "--eps", 1, "--seeds", 2, "--corpus", "none")
    assert run("fuzz", *pair, *none, "--report", "none.html", *T).code == 0
    follow_page(run, Path("none.html"), ["fuzz"], more=("--seeds", 2, *T))


@pytest.mark.slow
def test_of_sure_flips_a_page_says_to_look_to_repair_and_to_gate(
    run: Run, cached: Any, here: Path
) -> None:
    model = ("--model", "lenet5", "--epochs", 8, "--fine-tune-epochs", 1, "--amount", 0.9)
    search = ("--seeds", 8, "--eps", "none", "--corpus", "my corpus", "--report", "sure.html")
    assert run("fuzz", *model, "--compress", "prune", *search, *T).code == 0
    quick = ("--rounds", 1, "--steps", 3, "--seeds", 4, "--report", "mended.html", *T)
    follow_page(run, Path("sure.html"), ["replay", "corpus", "repair", "gate"], more=quick)
    mended = [words[1] for words in page_steps(Path("mended.html"))]
    assert mended in (["replay", "fuzz", "corpus"], ["replay"])  # or no round was better


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
