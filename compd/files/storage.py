"""Files that are either whole or absent, and the cache folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from compd.errors import UnavailableError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind; two at once are the user's care
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "cache_dir",
    "check_cache",
    "config_hash",
    "disk_errors",
    "locked_folder",
    "write_all",
    "write_atomic",
]


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a read-only place and the like into one line that names the path."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "no space left on the device; free some, or name another folder",
            errno.EDQUOT: "disk quota exceeded; free some, or name another folder",
            errno.EROFS: "the file system is read-only; name another folder",
            errno.EACCES: "permission denied; name another folder",
            errno.EPERM: "permission denied; name another folder",
            errno.ENOTDIR: "a file is in the way of a folder; name another folder",
            errno.EEXIST: "a file is in the way of a folder; name another folder",
            errno.EISDIR: "a folder is in the way of a file; name another file",
        }
        reason = reasons.get(error.errno or 0, error.strerror or str(error))
        raise UnavailableError(
            f"expected to read and write {str(path)!r}, got: {reason}"
        ) from error


@contextmanager
def locked_folder(folder: Path, *, wait: bool, what: str) -> Iterator[None]:
    """Be the only process that does something with a folder; leaves no file behind.

    Args:
        folder: must exist.
        wait: for the other process to end; else raise.
        what: the other process does, for the message.

    Raises:
        CompdError: if another process has it, and ``wait`` is false.
    """
    with ExitStack() as open_files:
        if fcntl is not None:
            handle = os.open(folder, os.O_RDONLY)
            open_files.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as error:
                raise UnavailableError(
                    f"expected to be the only one in {str(folder)!r}, got another process that "
                    f"{what}; wait for it"
                ) from error
        yield


def write_atomic(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file so that a reader, or a crash, sees the whole of it or nothing.

    Args:
        path: where; its folder is made if it is missing.
        data: the whole content.
        sync: wait until the bytes and the name are on the disk.
    """
    write_all({path: data}, sync=sync)


def write_all(files: Mapping[Path, bytes], *, sync: bool = True) -> None:
    """Write files, each of which is whole or absent whatever happens.

    All are written before the first is waited for: the disk then takes them together.

    Args:
        files: where -> the whole content; missing folders are made.
        sync: wait until the bytes are on the disk before the names appear, and then for the names.
    """
    temporary: dict[Path, Path] = {}
    open_files: list[int] = []
    try:
        for path, data in files.items():
            temporary[path] = path.parent / f".{path.name[:32]}.{secrets.token_hex(8)}.tmp"
            open_files.append(_create(temporary[path]))
            rest = memoryview(data)
            while rest:  # a disk with little space left takes a part, and only then complains
                rest = rest[os.write(open_files[-1], rest) :]
        for file in open_files:
            if sync:
                os.fsync(file)
        while open_files:
            os.close(open_files.pop())
        for path, written in temporary.items():
            written.replace(path)
    except BaseException:
        for file in open_files:
            os.close(file)
        for written in temporary.values():
            written.unlink(missing_ok=True)
        raise
    if sync:
        for folder in {path.parent for path in files}:
            sync_directory(folder)


def _create(path: Path) -> int:
    """Open a new file for writing; its folder is made if it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def sync_directory(directory: Path) -> None:
    """Make a rename survive a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_cache() -> None:
    """Raise if the cache cannot be written: now, and not after minutes of training.

    Raises:
        CompdError: with the way out.
    """
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
            file.flush()
    except OSError as error:
        raise UnavailableError(
            f"expected a cache folder that can be written, got {str(folder)!r} "
            f"({error.strerror}); name another one with COMPD_CACHE"
        ) from error


def cache_dir() -> Path:
    """The folder for what can be made again: ``COMPD_CACHE``, or the platform's cache folder."""
    override = os.environ.get("COMPD_CACHE")
    if override:
        return Path(override).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "compd"


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 (hex, 32 digits) of a JSON-able mapping, whatever the order of its keys."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
