"""What commands write as JSON, and what they say of a corpus that has nothing to tell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.corpus import Corpus

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "corpora/digits-int8"
PAIR = ("--pair", ROOT / "corpora/pairs/digits-int8", "--threads", 1)
PAGE = (ROOT / "docs/corpus.md").read_text()


def documented(command: str) -> set[str]:
    """The keys in the first table below a command's name on the page."""
    section = PAGE.split("## `--json` of other commands")[1]
    table = section.split(f"`{command}`", 1)[1].split("| --- | --- |\n", 1)[1].split("\n\n")[0]
    return {key for row in table.splitlines() for key in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.parametrize(
    "words",
    [
        ("corpus list",),
        ("corpus stats",),
        ("corpus verify", *PAIR),
        ("baseline list",),
        ("compare", *PAIR, "--runtimes", "original,deployed"),
        ("check", *PAIR),
    ],
    ids=lambda words: words[0],
)
def test_keys_are_those_of_the_page(run: Run, tmp_path: Path, words: tuple[Any, ...]) -> None:
    name, *more = words
    corpus = [] if name == "check" else ["--corpus", DIGITS]
    content = written(run, tmp_path / "a.json", name, *more, *corpus)
    assert set(content) == documented(f"compd {name}")


def written(run: Run, file: Path, name: str, *words: object) -> dict[str, Any]:
    ran = run(*name.split(), *words, "--json", file)
    assert ran.code in (0, 1), ran.err
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def test_a_list_has_all_entries_or_as_many_as_asked_for(run: Run, tmp_path: Path) -> None:
    list_ = ("corpus list", "--corpus", DIGITS)
    whole = written(run, tmp_path / "a.json", *list_)
    corpus = Corpus(DIGITS)
    assert [one["sha256"] for one in whole["listed"]] == [
        record.sha256 for record in corpus.by_severity()
    ]
    assert whole["entries"] == len(corpus)
    few = written(run, tmp_path / "b.json", *list_, "--limit", 2)
    assert few["listed"] == whole["listed"][:2]
    assert few["entries"] == len(corpus)
    keys = PAGE.split("| key of an entry | what |")[1].split("\n\n")[0]
    rows = (row.split("|")[1] for row in keys.splitlines()[2:])
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == set(whole["listed"][0])
    assert run("corpus", "list", "--corpus", DIGITS, "--limit", "-1").code == 2


def test_a_list_of_what_is_accepted(run: Run, tmp_path: Path) -> None:
    content = written(run, tmp_path / "a.json", "baseline list", "--corpus", DIGITS)
    lines = (DIGITS / "baseline.txt").read_text().splitlines()
    assert [one["sha256"] for one in content["accepted"]] == [line[:64] for line in lines]
    assert all(one["in_corpus"] for one in content["accepted"])
    missing = run("baseline", "list", "--corpus", DIGITS, "--baseline", tmp_path / "none.txt")
    assert missing.code == 2


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "no entries"
    Corpus(folder, create=True).make()
    return folder


@pytest.mark.parametrize(
    "words", [("corpus list",), ("corpus stats",), ("corpus verify", *PAIR), ("baseline list",)]
)
def test_an_empty_corpus_is_named(run: Run, empty: Path, words: tuple[Any, ...]) -> None:
    name, *more = words
    ran = run(*name.split(), "--corpus", empty, *more)
    assert ran.code == 0
    assert f"{empty} has no entries" in ran.out
    assert f"compd fuzz --corpus '{empty}'" in ran.out


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("compare", *PAIR, "--runtimes", "original,deployed"), 2),
        (("corpus show",), 2),
        (("export-inputs", "--out", "inputs"), 2),
        (("corpus minimise", *PAIR, "--out", "small"), 0),
        (("baseline accept", "--all", "--reason", "x", "--no-record"), 0),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else None,
)
def test_an_empty_corpus_breaks_nothing(
    run: Run,
    empty: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[Any, ...],
    status: int,
) -> None:
    monkeypatch.chdir(empty.parent)
    name, *more = words
    ran = run(*name.split(), "--corpus", empty, *more)
    assert ran.code == status, ran.err
    if status == 2:
        assert ran.err.splitlines()[-1].startswith("compd: expected")
        assert "empty" in ran.err or "entr" in ran.err


def test_nothing_accepted_yet(run: Run, empty: Path, tmp_path: Path) -> None:
    ran = run("baseline", "list", "--corpus", DIGITS, "--baseline", _touched(tmp_path / "b.txt"))
    assert "nothing is accepted" in ran.out
    assert f"next: compd baseline accept --all --reason '…' --corpus {DIGITS}" in ran.out


def _touched(file: Path) -> Path:
    file.touch()
    return file
