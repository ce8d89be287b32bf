"""Files of a stranger: inside of their folder, regular, bounded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from compd.errors import CompdError
from compd.files.reading import inside, open_file, read_whole

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def test_a_file_is_read_up_to_its_limit(tmp_path: Path, refuses: Any) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert read_whole(path, 3) == b"abc"
    with refuses("at most 2 bytes", str(path), "3"):
        read_whole(path, 2)
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "y", 9)


def test_a_file_that_lies_about_its_size_is_read_up_to_its_limit() -> None:
    assert len(read_whole(Path("/proc/self/status"), 10)) == 10  # it says 0 bytes


@pytest.mark.parametrize("write", [False, True])
def test_only_regular_files_are_opened(tmp_path: Path, refuses: Any, write: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with refuses("regular file", str(path)):
            open_file(path, write=write)


def test_links_stay_inside(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "b").symlink_to("a")
    (folder / "up").symlink_to("..")
    (folder / "there").symlink_to(folder / "a")
    (folder / "circle").symlink_to("circle")
    (tmp_path / "link").symlink_to(folder)
    for name in ("a/x", "b/x", "there/x", "a/../b/x"):
        assert inside(folder, name) == folder / name
        assert inside(tmp_path / "link", name) == tmp_path / "link" / name
    for name in ("up/x", "../x", "/etc/passwd", "up/folder2", "a/\0"):
        with pytest.raises(CompdError, match="expected a file"):
            inside(folder, name)
