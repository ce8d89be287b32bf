"""The folder of a corpus: whether it can be made, and its making with the first entry."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compd.errors import InputError
from compd.files.reading import inside
from compd.files.storage import write_atomic

__all__ = ["METADATA", "check_place", "make_place", "new_place"]

METADATA, _ATTRIBUTES = "metadata.jsonl", ".gitattributes"
_GIT = b"""metadata.jsonl text eol=lf merge=union
baseline.txt text eol=lf merge=union
*.png binary
"""


def check_place(directory: Path) -> None:
    """Raise if a new corpus could not be made there."""
    near = next(one for one in (directory, *directory.absolute().parents) if one.exists())
    if not near.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if near == directory and any(path.name[0] != "." for path in directory.iterdir()):
        raise InputError(
            f"expected a new folder or a corpus, got corpus={str(directory)!r}, which holds other "
            "files; name another one"
        )
    if hasattr(os, "statvfs") and os.statvfs(near).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    if not os.access(near, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def make_place(directory: Path) -> bool:
    """Make the folder of a corpus; whether there was none."""
    metadata = inside(directory, METADATA)
    if metadata.exists():
        return False
    directory.mkdir(parents=True, exist_ok=True)
    # What two branches append or accept is all true: git is to take both.
    write_atomic(directory / _ATTRIBUTES, _GIT, sync=False)
    metadata.touch()
    return True


@contextmanager
def new_place(directory: Path) -> Iterator[None]:
    """Make the folder for what is written inside the block, and take it back if nothing was."""
    new_folder = not directory.exists()
    made = make_place(directory)
    try:
        yield
    except BaseException:
        if made:
            _unmake(directory, new_folder)
        raise


def _unmake(directory: Path, new_folder: bool) -> None:
    with suppress(OSError):
        empty = not (directory / METADATA).stat().st_size
        if empty and {path.name for path in directory.iterdir()} <= {_ATTRIBUTES, METADATA}:
            for name in (METADATA, _ATTRIBUTES):
                (directory / name).unlink(missing_ok=True)
            if new_folder:
                directory.rmdir()
