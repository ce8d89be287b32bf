from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd.files.storage import cache_dir, config_hash, disk_errors, write_atomic

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("sync", [True, False])
def test_a_write_makes_the_folder_and_replaces_the_file(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "new" / "folder" / "file.bin"
    write_atomic(path, b"first", sync=sync)
    write_atomic(path, b"second\0", sync=sync)
    assert path.read_bytes() == b"second\0"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_atomic(tmp_path / "atomic", b"")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_crumbs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_disk_errors_name_the_path_and_the_reason(
    tmp_path: Path, refuses: Any, number: int, text: str
) -> None:
    with refuses(str(tmp_path / "out"), text), disk_errors(tmp_path / "out"):
        raise OSError(number, os.strerror(number))


def test_a_file_in_the_way_of_a_folder(tmp_path: Path, refuses: Any) -> None:
    (tmp_path / "out").write_text("a file")
    path = tmp_path / "out" / "x.png"
    with refuses(str(path), "a file is in the way"), disk_errors(path):
        write_atomic(path, b"")


def test_other_errors_pass_through_unchanged(tmp_path: Path) -> None:
    with pytest.raises(KeyError), disk_errors(tmp_path):
        raise KeyError("not the disk's fault")


def test_the_environment_names_the_cache_folder(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache_dir() == cache
    monkeypatch.setenv("COMPD_CACHE", "~/models")
    assert cache_dir() == Path.home() / "models"
    monkeypatch.delenv("COMPD_CACHE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "compd"
    assert not cache_dir().exists()


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=5), st.randoms(use_true_random=False))
def test_a_config_hash_ignores_the_order_of_keys(config: dict[str, Any], random: Any) -> None:
    keys = list(config)
    random.shuffle(keys)
    digest = config_hash({key: config[key] for key in keys})
    assert digest == config_hash(config)
    assert len(digest) == 32
    assert config_hash({**config, "another": 1}) != digest


def test_a_config_hash_is_the_same_in_every_version() -> None:
    assert config_hash({"epochs": 10, "lr": 0.1}) == "1a7ac2b45d80219d2ee5fa8caebd8619"
