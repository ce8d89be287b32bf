"""Telling what this user wrote from what came along in somebody else's folder.

A file in a folder that travels says nothing of who wrote it: an archive's files belong to whoever
unpacks them. So what compd is to believe later, it signs (HMAC-SHA-256) with a key that only this
user can read. The key lies in the cache folder, and never leaves the machine with a corpus; if it
is lost, what it signed is a stranger's, and is asked for again.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from compd.files.storage import cache_dir

__all__ = ["signed", "verified"]

_BYTES = 32  # of the key


def signed(content: bytes) -> bytes:
    """The content behind a line with its signature.

    Raises:
        OSError: if there is no key and none can be written.
    """
    path = cache_dir() / "key"
    if (key := _key(path)) is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was first
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_BYTES))
        if (key := _key(path)) is None:
            raise OSError(None, "the key in the cache folder is not whole", str(path))
    return _signature(key, content) + b"\n" + content


def verified(data: bytes) -> bytes | None:
    """The content that :func:`signed` was given here; None if anything else made these bytes."""
    signature, _, content = data.partition(b"\n")
    key = _key(cache_dir() / "key")
    if key is None or not hmac.compare_digest(signature, _signature(key, content)):
        return None
    return content


def _signature(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, "sha256").hexdigest().encode()


def _key(path: Path) -> bytes | None:
    try:
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == _BYTES else None
