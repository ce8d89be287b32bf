"""Where commands put files, and how they find them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from compd.errors import CompdError
from compd.storage import disk_errors, write_atomic

if TYPE_CHECKING:
    from compd.pair import Pair

__all__ = ["check_json_target", "default_corpus", "default_repaired", "find_corpus", "write_json"]

_HOME = Path("compd-corpus")
_REPAIRED = Path("compd-repaired")


def default_corpus(pair: Pair) -> Path:
    """The folder for a pair's findings below the working folder: another pair, another folder."""
    return _HOME / f"{pair.spec.label}-{pair.hashes['deployed'][:6]}"


def default_repaired(pair: Pair, method: str) -> Path:
    """The folder for a repaired pair below the working folder."""
    return _REPAIRED / f"{pair.spec.label}-{pair.hashes['deployed'][:6]}-{method}"


def find_corpus(corpus: Path | None) -> Path:
    """The corpus that was named, or the one below the working folder that was written last.

    Raises:
        CompdError: if none was named and there is none.
    """
    if corpus is not None:
        return corpus
    found = sorted(_HOME.glob("*/metadata.jsonl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise CompdError(f"expected --corpus DIR, or a corpus below {_HOME}/, got none")
    newest = found[-1].parent
    if len(found) > 1:
        typer.echo(f"compd: the latest of {len(found)} corpora: --corpus {newest}", err=True)
    return newest


def check_json_target(path: Path | None, name: str = "json") -> None:
    """Raise before the work starts if its result could not be written.

    Raises:
        CompdError: if the folder is missing or the path is a folder.
    """
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise CompdError(
            f"expected a file in an existing folder, got {name}={str(path)!r}; make the folder "
            "first"
        )


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON."""
    with disk_errors(path):
        write_atomic(path, (json.dumps(content, indent=2) + "\n").encode())
