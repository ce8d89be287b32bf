"""What is meant as a path, and what cannot be data at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compd.files import names
from compd.files.names import anchored_data, check_data, looks_like_path
from compd.files.signing import signed, verified


@pytest.mark.parametrize(
    "name",
    ["nope/", "./nope", "../x", "/x", "~/x", "x.png", "X.JPG", "a/b/c", "x/*.parquet", "here/x"],
)
def test_a_path_is_no_name_on_the_hub(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert looks_like_path(name)
    with refuses(f"data='{name}'"):
        check_data(name)


@pytest.mark.parametrize("name", ["cifar10", "mnist", "uoft-cs/cifar10", "zalando/fashion-mnist"])
def test_a_name_on_the_hub_is_no_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not looks_like_path(name)
    assert anchored_data(name, tmp_path) == name
    monkeypatch.setattr(names, "find_spec", lambda module: object())
    check_data(name)
    monkeypatch.setattr(names, "find_spec", lambda module: None)
    with refuses("pip install 'compd[hf]'"):
        check_data(name)


def test_what_is_here_is_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgs").mkdir()
    (tmp_path / "imgs" / "a.parquet").touch()
    for name in ("digits", "imgs", "imgs/", "imgs/*.parquet"):
        check_data(name)
    assert anchored_data("imgs", tmp_path) == str(tmp_path / "imgs")
    assert anchored_data("imgs/*.parquet", tmp_path) == str(tmp_path / "imgs" / "*.parquet")
    assert anchored_data("digits", tmp_path) == "digits"


def test_only_what_was_signed_here_is_believed(cache: Path) -> None:
    assert verified(b"") is None
    data = signed(b"one\ntwo")
    assert verified(data) == b"one\ntwo"
    assert verified(data + b"x") is None
    assert verified(b"one\ntwo") is None
    if os.name == "posix":
        assert (cache / "key").stat().st_mode & 0o077 == 0
    (cache / "key").write_bytes(b"")
    assert verified(data) is None
    with pytest.raises(OSError, match="key"):
        signed(b"x")
