"""Results go where they were sent: nothing but a regular file is ever replaced."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from compd.errors import CompdError
from compd.files.outputs import (
    append_output,
    check_output,
    clear_output,
    write_output,
    write_outputs,
)

Refuses = Callable[..., Any]
DATA = b"x" * 300_000  # more than a pipe holds


@contextmanager
def read(pipe: Path) -> Iterator[list[bytes]]:
    """Read a named pipe to its end, beside what writes to it."""
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    yield found
    reader.join(20)


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for data in (DATA, b"less"):
        write_output(out, data)
        assert out.read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_pipe_is_written_through(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_output(pipe, "json", suffix=".png")  # which name a pipe has is its owner's business
    clear_output(pipe)
    for write in (write_output, lambda path, data: append_output(path, lambda _: data)):
        with read(pipe) as found:
            write(pipe, DATA)
        assert found == [DATA]
        assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "link", tmp_path / "there" / "target"
    link.symlink_to(Path("there") / "target")
    for data in (b"new", b"newer"):  # at first it leads to nothing
        check_output(link, "json")
        clear_output(link)
        assert link.is_symlink()
        assert not target.exists()
        write_output(link, data)
        assert link.is_symlink()
        assert target.read_bytes() == data
    append_output(link, lambda there: b"+%d" % there)
    assert target.read_bytes() == b"newer+5"


def test_a_link_to_a_pipe(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with read(pipe) as found:
        write_output(link, b"through")
    assert found == [b"through"]
    assert link.is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("how", ["itself", "link", "append"])
def test_a_full_device_is_an_error(tmp_path: Path, refuses: Refuses, how: str) -> None:
    path = Path("/dev/full")
    if how == "link":
        path = tmp_path / "link"
        path.symlink_to("/dev/full")
    with refuses(str(path), "no space left"):
        if how == "append":
            append_output(path, lambda _: b"x")
        else:
            write_output(path, b"x")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A device node of this test's own, which takes all and keeps nothing."""
    path = tmp_path / "node"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        path.write_bytes(b"x")
    except OSError as error:
        pytest.skip(f"no device nodes here: {error}")
    return path


def test_a_device_node_stays(node: Path) -> None:
    before = node.stat()
    check_output(node, "json")
    clear_output(node)
    write_output(node, DATA)
    append_output(node, lambda there: b"%d" % there)
    assert (node.stat().st_ino, node.stat().st_rdev) == (before.st_ino, before.st_rdev)
    assert stat.S_ISCHR(node.stat().st_mode)


def test_a_disk_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    path = tmp_path / "disk"
    try:
        os.mknod(path, stat.S_IFBLK | 0o666, os.makedev(240, 200))  # that no driver has
    except OSError as error:
        pytest.skip(f"no device nodes here: {error}")
    with refuses("a disk", "disk"):
        check_output(path, "json")


def test_a_file_that_is_a_mount_is_written_in_place(tmp_path: Path) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    inner.write_bytes(b"before, and longer")
    outer.write_bytes(b"")
    mounted = subprocess.run(["mount", "--bind", inner, outer], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no mounts here")
    try:
        check_output(outer, "json")
        clear_output(outer)
        assert inner.read_bytes() == b""
        write_output(outer, b"after")
        assert inner.read_bytes() == outer.read_bytes() == b"after"
    finally:
        subprocess.run(["umount", outer], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner", "outer"]


def test_several_files_and_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with read(pipe) as found:
        write_outputs({tmp_path / "a": b"1", pipe: b"2", tmp_path / "b": b"3"})
    assert found == [b"2"]
    assert (tmp_path / "a").read_bytes() + (tmp_path / "b").read_bytes() == b"13"


@pytest.mark.parametrize("kind", ["folder", "missing", "circle", "file as folder"])
def test_what_cannot_be_written(tmp_path: Path, refuses: Refuses, kind: str) -> None:
    path = tmp_path / "here"
    if kind == "folder":
        path.mkdir()
    elif kind == "missing":
        path = path / "out"
    elif kind == "circle":
        path.symlink_to(path)
    else:
        path.write_bytes(b"")
        path = path / "out"
    with refuses(str(path)):
        check_output(path, "json")
    with refuses(str(path), always=kind != "missing"):
        check_output(path, "out", new_folder=True)


def test_an_open_file_that_is_none(refuses: Refuses) -> None:
    with refuses("/dev/fd/987", "Bad file descriptor"):
        check_output(Path("/dev/fd/987"), "json")


CHECK = """
import os, sys
from pathlib import Path
from compd.files.outputs import check_output
if os.getuid() == 0:
    os.setuid(65534)  # whom permissions hold for
for path in sys.argv[1:]:
    try:
        check_output(Path(path), "json")
        print("yes")
    except Exception as error:
        print(type(error).__name__, "permission denied" in str(error))
"""


def test_what_may_not_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    open_folder, closed = tmp_path / "open", tmp_path / "closed"
    for folder, mode in ((open_folder, 0o777), (closed, 0o555)):
        folder.mkdir()
        (folder / "there").touch()
        (folder / "there").chmod(0o444)
        (folder / "ours").touch()
        (folder / "ours").chmod(0o666)
        folder.chmod(mode)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    paths = [str(f / name) for f in (open_folder, closed) for name in ("new", "there", "ours")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    found = subprocess.run(
        [sys.executable, "-c", CHECK, *paths],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    refused = "UnavailableError True"
    assert found.stdout.splitlines() == ["yes", "yes", "yes", refused, refused, "yes"]


def test_the_suffix(tmp_path: Path, refuses: Refuses) -> None:
    check_output(tmp_path / "a.PNG", "out", suffix=".png")
    check_output(Path("-"), "out", suffix=".png")
    with refuses(".png", "a.jpg"):
        check_output(tmp_path / "a.jpg", "out", suffix=".png")


def test_a_pipe_that_nobody_reads_any_more(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def leave() -> None:
        with pipe.open("rb") as file:
            file.read(1)

    reader = threading.Thread(target=leave)
    reader.start()
    with pytest.raises(CompdError, match="pipe"):
        write_output(pipe, DATA * 10)
    reader.join(20)


PRINT = """
import sys
from pathlib import Path
from compd.files.outputs import append_output, clear_output, write_output
path = Path(sys.argv[1])
print("before")
clear_output(path)
write_output(path, b"data\\n")
append_output(path, lambda there: b"more\\n")
print("after")
"""
PRINTED = "before\ndata\nmore\nafter\n"


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "log"])
@pytest.mark.parametrize("where", ["file", "pipe"])
def test_standard_output(tmp_path: Path, name: str, where: str) -> None:
    log = tmp_path / "log"
    if name == "log" and where == "pipe":
        pytest.skip("a log in a file only")
    name = str(log) if name == "log" else name
    command = [sys.executable, "-c", PRINT, name]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    if where == "pipe":
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert done.stdout == PRINTED
    else:
        with log.open("w") as file:
            subprocess.run(command, stdout=file, env=environment, check=True)
        assert log.read_text() == PRINTED


def test_another_open_file(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as file:
        file.write(b"first ")
        write_output(Path(f"/dev/fd/{file.fileno()}"), b"second")
    assert (tmp_path / "log").read_bytes() == b"first second"
    with pytest.raises(CompdError, match="Bad file descriptor"):
        write_output(Path("/dev/fd/987"), b"x")
