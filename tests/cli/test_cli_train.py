"""``compd train`` by its command, and what it says to type next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_the_next_command_takes_what_was_trained(
    run: Run, cached: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    network = ("--model", "vgg11", "--width", 4, "--channels", 1)  # narrower than it is by default
    ran = run("train", *network, "--epochs", 1, "--out", "w.safetensors", "--threads", 1)
    assert ran.code == 0, ran.err
    assert "accuracy" in ran.out
    [command] = [
        line.removeprefix("next: compd ") for line in ran.out.splitlines() if line[:4] == "next"
    ]
    assert command == "fuzz --model vgg11 --weights w.safetensors --data digits --channels 1"
    quick = ("--compress", "ptq", "--seeds", 4, "--threads", 1)
    done = run(*command.split(), *quick)
    assert done.code == 0, done.err
    wider = run(*command.split(), *quick, "--width", 5)
    assert wider.code == 2
    assert "check --model, --width" in wider.err
