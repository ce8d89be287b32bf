"""What this machine remembers of a corpus: in its folder, but no part of it.

Records travel, so no path is in them. What only helps here lies in ``.compd`` in the corpus's
folder, which git and readers of image folders pass over, and is signed: a folder that came from
somebody else may bring a file of that name, and what it says is not believed, nor even parsed.
Kept here and not in the cache folder, it stays right when the corpus is moved, replaced or removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compd.errors import InputError
from compd.files.reading import inside, read_whole
from compd.files.signing import signed, verified
from compd.files.storage import disk_errors, write_atomic

__all__ = ["FILE", "recall", "remember"]

FILE = ".compd/pair.json"
_LARGEST = 1 << 20  # bytes


def remember(directory: Path, content: Mapping[str, Any]) -> None:
    """Write down a JSON object for later commands on a corpus, in place of the last one.

    Raises:
        CompdError: if it cannot be written.
    """
    path = inside(directory, FILE)
    with disk_errors(path):
        text = json.dumps(content, indent=2, sort_keys=True) + "\n"
        write_atomic(path.with_name(".gitignore"), b"*\n", sync=False)
        write_atomic(path, signed(text.encode()), sync=False)


def recall(directory: Path) -> dict[str, Any] | None:
    """What :func:`remember` wrote there; None if nothing is, or somebody else wrote it.

    Raises:
        CompdError: if there is something else than a file, or one that cannot be read.
    """
    path = inside(directory, FILE)
    with disk_errors(path):
        content = verified(read_whole(path, _LARGEST)) if path.exists() else None
    if content is None:
        return None
    try:
        said = json.loads(content)
    except ValueError as error:
        raise _broken(path) from error
    if not isinstance(said, dict):
        raise _broken(path)
    return said


def _broken(path: Path) -> InputError:
    return InputError(
        f"expected what compd remembers of a corpus, got something else in {str(path)!r}; remove it"
    )
