"""``--quiet``, before the command or behind it: errors, warnings and what was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.cli.quiet import be_quiet
from compd.cli.render.tables import print_facts
from compd.corpus import Corpus
from compd.wording import Worded, setting

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "corpora/digits-int8"
T = ("--threads", 1)


@pytest.mark.parametrize("place", ["before", "behind", "short"])
def test_a_campaign_says_nothing(run: Run, cached: Any, tmp_path: Path, place: str) -> None:
    words = ["fuzz", "--pair", cached.pair, "--seeds", 4, "--corpus", tmp_path / "corpus", *T]
    said = {"before": ["--quiet", *words], "behind": [*words, "--quiet"], "short": [*words, "-q"]}
    ran = run(*said[place])
    assert ran.code == 0
    assert ran.out == ""
    assert [line for line in ran.err.splitlines() if not line.startswith("compd: warning: ")] == []
    assert len(Corpus(tmp_path / "corpus"))


def test_the_next_command_speaks_again(run: Run) -> None:
    stats = ("corpus", "stats", "--corpus", DIGITS)
    assert run(*stats, "--quiet").out == ""
    assert "entries" in run(*stats).out


def test_what_was_asked_for_is_printed(run: Run, tmp_path: Path) -> None:
    ran = run("corpus", "stats", "--corpus", DIGITS, "-q", "--json", tmp_path / "stats.json")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert json.loads((tmp_path / "stats.json").read_text())["entries"] == len(Corpus(DIGITS))
    assert run("--quiet", "--version").out.startswith("compd ")
    assert "Usage: compd fuzz" in run("--quiet", "fuzz", "--help").out


def test_errors_are_told(run: Run, tmp_path: Path) -> None:
    ran = run("--quiet", "corpus", "stats", "--corpus", tmp_path)
    assert ran.code == 2
    assert ran.err.startswith("compd: expected a corpus")


def test_warnings_of_a_table_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # as it was, when the test has ended
    be_quiet()
    print_facts("", [("pair", "a"), ("warning", Worded(f"beware of {setting('eps', 4)}"))])
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "compd: warning: beware of --eps 4\n")


def test_commands_for_ci_systems_are_told(
    run: Run, cached: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus = tmp_path / "corpus"
    assert run("fuzz", "--pair", cached.pair, "--seeds", 4, "--corpus", corpus, *T).code == 0
    gate = ("gate", "--pair", cached.pair, "--corpus", corpus, "--only-replay", *T)
    red = run(*gate, "--quiet", "--annotate")
    assert red.code == 1
    assert red.out
    assert all(line.startswith("::") for line in red.out.splitlines())
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run("-q", "corpus", "stats", "--corpus", tmp_path / "none").out.startswith("::error")
