"""``--threads`` takes no more than the cores that the process may use, at every command."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from compd.corpus import Corpus
from compd.corpus.opening import threads_of
from compd.errors import CompdError
from compd.system import machine, prepare
from compd.system.machine import core_count, cpu_count

Run = Callable[..., Any]
DIGITS = Path(__file__).parents[2] / "corpora/digits-int8"
COMMANDS = [
    "baseline accept --all --reason x --corpus CORPUS",
    "baseline prune --corpus CORPUS",
    "check",
    "compare --runtimes original,deployed",
    "compress --out pair",
    "corpus minimise --corpus CORPUS",
    "corpus verify --corpus CORPUS",
    "export --to onnx --out a.onnx",
    "fuzz",
    "gate --corpus CORPUS",
    "hunt --corpus CORPUS",
    "repair",
    "replay CORPUS/images/x.png",
    "report --corpus CORPUS",
    "study shifts",
    "train --out a.safetensors",
]


@pytest.mark.parametrize("threads", [100_000, 0, -1])
@pytest.mark.parametrize("command", COMMANDS)
def test_one_line_says_how_many_there_are(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, threads: int
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*command.replace("CORPUS", str(DIGITS)).split(), "--threads", threads)
    assert ran.code == 2
    assert ran.err == (
        f"compd: expected threads in 1..{core_count()}, the cores that this process may use, got "
        f"threads={threads}\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_every_command_with_threads_is_here() -> None:
    cli = Path(machine.__file__).parents[1] / "cli"
    files = [path for path in cli.rglob("*.py") if "threads: o.Threads" in path.read_text()]
    assert len(files) == len(COMMANDS)


def test_the_limits_of_batch_systems_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12), raising=False)
    monkeypatch.setattr(machine, "cpu_quota", lambda: None)
    assert core_count() == 12  # as SLURM binds tasks
    monkeypatch.setattr(machine, "cpu_quota", lambda: 3)
    assert core_count() == 3  # as a container or a job is granted time
    with pytest.raises(CompdError, match=r"threads in 1\.\.3, the cores .* got threads=4"):
        prepare(4)


def test_what_the_environment_says_counts_without_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", str(core_count() + 1))
    try:
        prepare()
        assert torch.get_num_threads() == cpu_count() == core_count() + 1
    finally:
        torch.set_num_threads(before)


def test_threads_of_a_corpus_are_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "512")
    stored = {record.fingerprint.get("threads") for record in Corpus(DIGITS)}
    assert threads_of(Corpus(DIGITS)) == (stored.pop() if len(stored) == 1 else None)
