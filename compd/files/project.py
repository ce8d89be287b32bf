"""The table ``[tool.compd]`` of a project's ``pyproject.toml``."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from compd.errors import SettingError, brief

__all__ = ["compd_table", "find_project", "read_project"]

_LARGEST = 4 << 20  # bytes of a pyproject.toml
_ADMINISTRATOR = 0  # the user that may do anything anyhow


def find_project(folder: Path) -> Path | None:
    """The nearest ``pyproject.toml``, in the folder or above it; None if there is none.

    One that somebody else has left in a shared folder such as ``/tmp`` is no project's: it may name
    code that would be run.
    """
    for above in (folder, *folder.parents):
        path = above / "pyproject.toml"
        if path.exists() and not _left_by_another(path):
            return path
    return None


def read_project(path: Path) -> bytes:
    """The bytes of a ``pyproject.toml``.

    Raises:
        CompdError: if it cannot be read, or is larger than any is.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SettingError(f"expected to read {str(path)!r}, got: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise SettingError(f"expected at most {_LARGEST >> 20} MiB, got more: {path}")
    return data


def compd_table(data: bytes, where: str) -> dict[str, Any]:
    """The table ``[tool.compd]``; empty if there is none.

    Args:
        data: of a ``pyproject.toml``.
        where: it lies, for messages.

    Raises:
        CompdError: if the file is no TOML, or this is no table.
    """
    try:
        content = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        said = brief(error, 120)
        raise SettingError(f"expected TOML, got {said}: {where}") from error
    table: Any = content
    for path in ("tool", "tool.compd"):
        table = table.get(path.rpartition(".")[2], {})
        if not isinstance(table, dict):
            raise SettingError(f"expected [{path}] to be a table, got {table!r:.40}: {where}")
    found: dict[str, Any] = table
    return found


def _left_by_another(path: Path) -> bool:
    if os.name != "posix":
        return False
    folder = path.parent.stat().st_mode
    anybody = folder & stat.S_IWOTH and folder & stat.S_ISVTX
    return bool(anybody) and path.stat().st_uid not in (_ADMINISTRATOR, os.getuid())
