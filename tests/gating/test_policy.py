"""The table in pyproject.toml, and flags over it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd.errors import CompdError
from compd.gating import Policy, find_policy


def test_flags_win_over_the_file() -> None:
    text = b"[tool.compd.gate]\nmin-severity = 0.2\nmax-new = 3\nonly-replay = true\n"
    policy = Policy.from_toml(text, "x")
    assert policy == Policy(min_severity=0.2, max_new=3, only_replay=True)
    assert policy.over({"max_new": 0, "min_severity": None}) == Policy(
        min_severity=0.2, max_new=0, only_replay=True
    )


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.compd.gate]\nseeds = 7\n")
    policy, where = find_policy(inner)
    assert (policy.seeds, where) == (7, str(tmp_path / "a" / "pyproject.toml"))
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert find_policy(inner)[0] == Policy()
    with pytest.raises(CompdError, match="no such file"):
        find_policy(inner, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("min-severty = 0.1", "did you mean 'min-severity'"),
        ("min-severity = 1.5", "a number in 0..1, got 1.5"),
        ("min-severity = nan", "a number in 0..1"),
        ("min-severity = true", "a number in 0..1"),
        ("max-new = 1.0", "a number in"),
        ("max-new = -1", "a number in"),
        ("only-replay = 1", "true or false"),
        ("known-by = 'pixel'", "image, seed"),
        ("strategy = 3", "strategy to be one of"),
        ("goal = 'sever'", "did you mean 'severe'"),
        ("time = 0", "a number in"),
        ("seeds = [", "expected TOML"),
    ],
)
def test_a_senseless_key_is_one_line(text: str, said: str) -> None:
    with pytest.raises(CompdError, match=said) as caught:
        Policy.from_toml(f"[tool.compd.gate]\n{text}\n".encode(), "pyproject.toml")
    assert "pyproject.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_of_commands_beside_it_are_left_alone() -> None:
    text = b"[tool.compd]\nmodel = 'pkg:make'\nfuzz = {eps = 8}\n[tool.compd.gate]\nseeds = 7\n"
    assert Policy.from_toml(text, "x") == Policy(seeds=7)
    with pytest.raises(CompdError, match="did you mean 'gate'"):
        Policy.from_toml(b"[tool.compd.gaet]\nseeds = 7\n", "x")


def test_the_table_has_to_be_one() -> None:
    with pytest.raises(CompdError, match="to be a table"):
        Policy.from_toml(b"[tool]\ncompd = 3\n", "x")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_policy_or_one_line_of_error(data: bytes) -> None:
    with contextlib.suppress(CompdError):
        Policy.from_toml(data, "x")
