"""Files that are either whole or absent, and the cache folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compd.errors import CompdError

__all__ = [
    "cache_dir",
    "check_cache",
    "config_hash",
    "disk_errors",
    "sync_directory",
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
        raise CompdError(f"expected to read and write {str(path)!r}, got: {reason}") from error


def write_atomic(path: Path, data: bytes, *, sync: bool = True, sync_name: bool = True) -> None:
    """Write a file so that a reader, or a crash, sees the whole of it or nothing.

    Args:
        path: where; its folder is made if it is missing.
        data: the whole content.
        sync: wait until the bytes are on the disk before the name appears.
        sync_name: wait until the name is, too; a caller who writes many files syncs folders once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:32]}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        if sync and sync_name:
            sync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_directory(directory: Path) -> None:
    """Make a rename survive a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
        raise CompdError(
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
