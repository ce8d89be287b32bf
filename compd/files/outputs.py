"""Results that go where a user said: a file, a link to one, a pipe, a device, standard output.

A regular file is replaced as a whole. Anything else that a path can name belongs to somebody, and
is written through: a device node or a named pipe that a rename replaced would be gone.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from compd.errors import CompdError, SettingError
from compd.files.storage import disk_errors, write_all

__all__ = [
    "append_output",
    "check_output",
    "clear_output",
    "is_standard_output",
    "write_output",
    "write_outputs",
]

_STANDARD = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
# Where a file cannot be replaced and can be written all the same: one that is mounted on its own,
# or one of ours in a folder that is not.
_NOT_REPLACED = (errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)


def is_standard_output(path: Path) -> bool:
    """Whether a path is ``-``, or a usual name of standard output."""
    return str(path) in _STANDARD


def check_output(
    path: Path, name: str, *, suffix: str | None = None, new_folder: bool = False
) -> None:
    """Raise before the work starts if its result could not be written.

    Args:
        path: as the user gave it.
        name: of the option, for messages.
        suffix: that the name of a file needs; None for any.
        new_folder: whether its folder is made if it is missing.

    Raises:
        CompdError: if the folder is missing, or the path is a folder, a disk or a circle of links,
            or the suffix is another one.
    """
    if is_standard_output(path):
        return
    with disk_errors(path):
        mode, folder = _mode(path), path.resolve().parent
    if mode is not None and stat.S_ISDIR(mode):
        raise SettingError(f"expected a file to write, got a folder: {name}={str(path)!r}")
    if not folder.is_dir() and not (new_folder and not _in_the_way(folder)):
        raise SettingError(
            f"expected a file in an existing folder, got {name}={str(path)!r}; make the folder "
            "first"
        )
    if mode is not None and stat.S_ISBLK(mode):
        raise SettingError(f"expected a file to write, got a disk: {name}={str(path)!r}")
    with disk_errors(path):
        if (descriptor := _descriptor(path)) is not None:
            os.fstat(descriptor)  # is it open at all?
        elif not _writable(path, mode, folder):
            raise PermissionError(errno.EACCES, "permission denied")
    regular = mode is None or stat.S_ISREG(mode)
    if suffix is not None and regular and path.suffix.lower() != suffix:
        raise SettingError(f"expected a {suffix} file to write, got {name}={str(path)!r}")


def clear_output(path: Path) -> None:
    """Remove what an earlier run left, so that nobody takes it for this one's: files only."""
    if is_standard_output(path):
        return
    with disk_errors(path):
        real = path.resolve()
        if not real.is_file() or _descriptor(path) is not None:
            return
        try:
            real.unlink()
        except OSError as error:
            if error.errno not in _NOT_REPLACED or not os.access(real, os.W_OK):
                raise
            _write_through(real, b"", os.O_TRUNC)


def write_output(path: Path, data: bytes) -> None:
    """Write a result; a regular file appears as a whole.

    Raises:
        CompdError: if it cannot be written, whatever it is.
    """
    write_outputs({path: data})


def write_outputs(files: Mapping[Path, bytes]) -> None:
    """Write results; regular files are written together, each as a whole.

    Raises:
        CompdError: if one cannot be written, whatever it is.
    """
    whole: dict[Path, bytes] = {}
    for path, data in files.items():
        with disk_errors(path):
            if (descriptor := _descriptor(path)) is not None:
                _write(descriptor, data)
            elif path.exists() and not path.is_file():
                _write_through(path, data)
            else:
                whole[path.resolve()] = data
    try:
        with disk_errors(next(iter(whole), Path())):
            write_all(whole)
    except CompdError as error:
        _write_in_place(whole, error)


def append_output(path: Path, make: Callable[[int], bytes]) -> None:
    """Add to the end of a file, or write to what is none.

    Args:
        path: as the user gave it.
        make: returns what to add, from the bytes that are there already.

    Raises:
        CompdError: if it cannot be written.
    """
    with disk_errors(path):
        if (descriptor := _descriptor(path)) is not None:
            _write(descriptor, make(0))
        elif path.exists() and not path.is_file():
            _write_through(path, make(0))
        else:
            with path.open("ab", buffering=0) as file:
                _write(file.fileno(), make(file.tell()))


def _descriptor(path: Path) -> int | None:
    """The open file of this process that a path names, or leads to; None if it is neither."""
    if is_standard_output(path):
        return 1
    if match := _DESCRIPTOR.fullmatch(str(path)):
        return int(match[1])
    try:
        found = path.stat()
    except OSError:
        return None
    for descriptor in (1, 2):  # the same file twice: replaced, what is printed would be lost
        try:
            here = os.fstat(descriptor)
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and os.path.samestat(found, here):
            return descriptor
    return None


def _write(descriptor: int, data: bytes) -> None:
    if descriptor in (1, 2):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what was printed before comes before
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _write_through(path: Path, data: bytes, more: int = 0) -> None:
    plain = getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, os.O_WRONLY | plain | more)
    try:
        _write(handle, data)
    finally:
        os.close(handle)


def _write_in_place(files: Mapping[Path, bytes], error: CompdError) -> None:
    """Overwrite files that cannot be replaced, if that is why an error came; else raise it."""
    why = error.__cause__
    if not isinstance(why, OSError) or why.errno not in _NOT_REPLACED:
        raise error
    if not all(os.access(path, os.W_OK) for path in files):
        raise error
    for path, data in files.items():
        with disk_errors(path):
            _write_through(path, data, os.O_TRUNC)


def _in_the_way(folder: Path) -> bool:
    """Whether a folder cannot be made because a file has the name of one of those above it."""
    there = next((parent for parent in (folder, *folder.parents) if parent.exists()), None)
    return there is None or not there.is_dir()


def _writable(path: Path, mode: int | None, folder: Path) -> bool:
    """Whether we may write to what is there, or put a file in its place."""
    if mode is not None and os.access(path, os.W_OK):
        return True
    replaced = mode is None or stat.S_ISREG(mode)
    return replaced and (not folder.is_dir() or os.access(folder, os.W_OK))


def _mode(path: Path) -> int | None:
    """What kind of file is there; None if there is none yet."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None
