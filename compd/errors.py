"""What a user can do wrong, each with its fix.

Library code raises these; only ``compd.cli`` turns them into one line and exit status 2.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

from compd.text import one_line

__all__ = ["CompdError", "CompdWarning", "require_extra", "unknown"]


class CompdError(Exception):
    """A mistake in the input or the environment, told in one line.

    The message says what was expected, what came (``name=value``) and what to do next. Whatever a
    file put into it, it is one printable line of bearable length.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class CompdWarning(UserWarning):
    """Something that compd repaired or left out, and that the user should know, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def unknown(kind: str, name: str, known: Iterable[str]) -> CompdError:
    """Return the error for a name that no table knows, with the nearest known one.

    Args:
        kind: what the name stands for, for example ``"model"``.
        name: what came.
        known: the names that would have been right.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name[:80], names, n=1)  # its time grows with the square
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return CompdError(f"expected {kind} to be one of {', '.join(names)}, got {kind}={name!r}{hint}")


def require_extra(module: str, extra: str) -> ModuleType:
    """Import an optional package where it is used.

    Raises:
        CompdError: if the package is missing; names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise CompdError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed: "
            f"pip install 'compd[{extra}]'"
        ) from error
