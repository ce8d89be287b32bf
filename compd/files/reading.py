"""Reading files that may come from a stranger: bounded, never waiting, and only where they belong.

A folder that somebody sent can hold links to places outside of it, pipes and devices that are read
for ever, and files that claim more bytes than there is memory.
"""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

from compd.errors import InputError

__all__ = ["inside", "open_file", "read_bytes", "read_whole"]

# Opening a pipe waits for a writer otherwise, and opening a terminal can take it over.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def inside(folder: Path, name: str) -> Path:
    """The path of a file of a folder, where links are followed and none leads out of it.

    Args:
        folder: may be a link itself.
        name: relative to it; need not exist.

    Raises:
        CompdError: if a link leads out of the folder.
    """
    path = folder / name
    try:
        real, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle; a NUL byte
        raise InputError(
            f"expected a file of {str(folder)!r}, got {name!r} ({_line(error)})"
        ) from error
    if not real.is_relative_to(root):
        raise InputError(
            f"expected a file inside of {str(folder)!r}, got {name!r}, a link that leads out of "
            "it; copy the file there if you know who made the link"
        )
    return path


def open_file(path: Path, *, write: bool = False) -> FileIO:
    """Open a regular file, unbuffered; a pipe, a device or a folder is refused without waiting.

    Raises:
        OSError: if it cannot be opened.
        CompdError: if it is no regular file.
    """
    if stat.S_ISREG(path.stat().st_mode):  # opening a device can do things already
        handle = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | _FLAGS)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return FileIO(handle, "r+b" if write else "rb")
        os.close(handle)
    raise InputError(
        f"expected a regular file, got {str(path)!r} (a pipe, a device or a folder); remove it"
    )


def read_whole(path: Path, most: int) -> bytes:
    """The bytes of a regular file.

    Args:
        path: of the file.
        most: bytes that it may have.

    Raises:
        OSError: if it cannot be read.
        CompdError: if it is no regular file, or has more bytes.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise InputError(
                f"expected a file of at most {most} bytes, got {str(path)!r} with {size}"
            )
        return read_bytes(file, most)


def read_bytes(file: FileIO, most: int) -> bytes:
    """What is left of an open file, but no more than this many bytes."""
    parts = []
    while most > 0 and (part := file.read(min(most, 1 << 24))):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _line(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
