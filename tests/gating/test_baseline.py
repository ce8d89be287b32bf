"""The baseline: a file that is the same for the same decisions, and that git merges."""

from __future__ import annotations

import contextlib
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd.corpus import Corpus
from compd.errors import CompdError
from compd.gating import Accepted, Baseline, baseline_of

HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
LINES = st.builds(
    Accepted,
    HASHES,
    WORDS.map(lambda w: f"{w} → x"),
    st.integers(0, 100).map(lambda n: n / 100),
    WORDS,
)


@given(st.lists(LINES, unique_by=lambda one: one.sha256), st.randoms(use_true_random=False))
def test_the_file_is_the_same_whatever_the_order(
    lines: list[Accepted], draw: random.Random
) -> None:
    data = Baseline(lines).to_bytes()
    shuffled = list(lines)
    draw.shuffle(shuffled)
    assert Baseline(shuffled).to_bytes() == data
    assert Baseline.parse(data, "x").to_bytes() == data
    assert data.decode().splitlines() == sorted(one.to_line() for one in lines)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_baseline_or_one_line_of_error(data: bytes) -> None:
    with contextlib.suppress(CompdError):
        found = Baseline.parse(data, "x")
        assert Baseline.parse(found.to_bytes(), "x").to_bytes() == found.to_bytes()


GOOD = Accepted("a" * 64, "cat → dog", 0.25, "known").to_line()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no tabs", "with tabs between"),
        (GOOD.replace("aaaa", "AAAA", 1), "64 hex digits"),
        (GOOD.replace("0.25", "0.251"), "severity"),
        (GOOD.replace("0.25", "1.25"), "severity"),
        (GOOD.replace("known", " known"), "printable"),
        (GOOD.replace("known", "\x1b[31mknown"), "printable"),
        (GOOD.replace("known", ""), "a reason"),
        (GOOD + "x" * 3000, "at most 2000 characters"),
        (GOOD + "\n" + GOOD.replace("known", "other"), "two that differ"),
    ],
)
def test_a_broken_line_is_named(line: str, said: str) -> None:
    with pytest.raises(CompdError, match=said) as caught:
        Baseline.parse(line.encode(), "file")
    assert "file line" in str(caught.value)


def test_a_line_that_a_merge_left_twice_counts_once() -> None:
    found = Baseline.parse(f"{GOOD}\r\n\n{GOOD}\n".encode(), "x")
    assert found.to_bytes() == f"{GOOD}\n".encode()


def test_no_file_is_an_empty_baseline(tmp_path: Path) -> None:
    assert len(Baseline.load(tmp_path / "none.txt")) == 0
    with pytest.raises(CompdError):
        Baseline.load(tmp_path)


def test_accepting_needs_a_reason(make_record) -> None:
    with pytest.raises(CompdError, match="a reason"):
        Accepted.of(make_record(1), " \n")
    assert Accepted.of(make_record(1), " two\nlines\t").reason == "two lines"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("neighbours", [False, True])
def test_two_branches_that_accept_different_deviations_merge(
    tmp_path: Path, make_record, *, neighbours: bool
) -> None:
    Corpus(tmp_path, create=True).make()
    file = baseline_of(tmp_path)
    hashes = ["a" * 64, "c" * 64] if not neighbours else ["a" * 64, "f" * 64]
    start = Baseline(Accepted(sha256, "cat → dog", 0.1, "first") for sha256 in hashes)
    start.save(file)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "start")
    # next to each other they are one hunk to git, which is a conflict without .gitattributes
    names = {"left": "b" * 64, "right": ("b1" if neighbours else "d1") + "d" * 62}
    for branch, sha256 in names.items():
        git(tmp_path, "checkout", "-q", "-b", branch, "main")
        mine = Baseline.load(file)
        mine.accepting([Accepted(sha256, "cat → bird", 0.2, branch)]).save(file)
        with (tmp_path / "metadata.jsonl").open("a") as metadata:
            metadata.write(f'{{"file_name": "{branch}"}}\n')
        git(tmp_path, "commit", "-q", "-a", "-m", branch)
    git(tmp_path, "checkout", "-q", "main")
    git(tmp_path, "merge", "-q", "left")
    git(tmp_path, "merge", "-q", "-m", "both", "right")
    merged = Baseline.load(file)
    assert set(merged) == {*hashes, *names.values()}
    assert len((tmp_path / "metadata.jsonl").read_text().splitlines()) == 2
    merged.save(file)
    assert file.read_bytes() == merged.to_bytes()
