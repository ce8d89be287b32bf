"""The contract that every target checks, and where inputs lie that have to be files."""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from compd.errors import CompdError, CompdWarning

__all__ = ["Broken", "fresh_folder", "only_compd_errors", "scratch"]

_LONGEST = 4000  # characters of a message: one line of a terminal, or a few
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # what a terminal obeys


class Broken(AssertionError):  # noqa: N818 (it is a finding, and no error of the program)
    """A parser did what it never should."""


@contextmanager
def only_compd_errors() -> Iterator[None]:
    """Let pass what a user is told in one line; everything else is a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except CompdError as error:
            _check_message(str(error))
        except CompdWarning as warning:
            _check_message(str(warning))


def _check_message(message: str) -> None:
    if not message or len(message) > _LONGEST:
        raise Broken(f"a message of {len(message)} characters: {message[:200]!r}")
    if "\n" in message or _CONTROL.search(message):
        raise Broken(f"a message that is not one printable line: {message[:400]!r}")
    message.encode()  # half a surrogate pair cannot be printed


@cache
def scratch() -> Path:
    """A folder of this process; ``fuzz/run.sh`` has it in memory, and removes it."""
    folder = Path(tempfile.mkdtemp(prefix="compd-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def fresh_folder(name: str) -> Path:
    """An empty folder for one input; the same place each time, so that runs are alike."""
    folder = scratch() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
