"""What a user can do wrong, each with its fix.

Library code raises these; only ``compd.cli`` turns them into one line and exit status 2.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType

from compd.text import one_line
from compd.wording import Worded

__all__ = [
    "CompdError",
    "CompdWarning",
    "InputError",
    "ModelError",
    "SettingError",
    "Stopped",
    "UnavailableError",
    "brief",
    "check_kind",
    "require_extra",
    "unknown",
]


class CompdError(Exception):
    """A mistake in the input or the environment, told in one line.

    The message says what was expected, what came (``name=value``) and what to do next. Whatever a
    file put into it, it is one printable line of bearable length. Settings in it are named by
    :func:`compd.wording.setting`, so that the command line can name its options instead.
    """

    def __init__(self, message: str) -> None:
        raw = message.raw if isinstance(message, Worded) else message
        self.message = Worded(one_line(raw))
        super().__init__(str(self.message))


class SettingError(CompdError):
    """A setting makes no sense, alone or with others.

    Args:
        message: what would have made sense; without ``given``, all there is to say.
        advice: what to do; empty if that is clear.
        given: the settings by name, as they came.
    """

    def __init__(self, message: str, *, advice: str = "", **given: object) -> None:
        self.given: Mapping[str, object] = given
        if given:
            got = ", ".join(f"{name}={value!r}" for name, value in given.items())
            message = f"expected {message}, got {got}"
        super().__init__(f"{message}; {advice}" if advice else message)


class InputError(CompdError):
    """Data, a file or a corpus are not what they have to be."""


class ModelError(CompdError):
    """A model, or what runs it, fails or answers what no classifier answers."""


class UnavailableError(CompdError):
    """This machine lacks something: a package, a device, room, or the right to write."""


class Stopped(Exception):  # noqa: N818 - it is no error: somebody asked for it
    """A task was told to stop before it had a result; what it had stored by then is kept."""


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
    hint = f"did you mean {near[0]!r}?" if near else ""
    return SettingError(f"{kind} to be one of {', '.join(names)}", advice=hint, **{kind: name})


def check_kind(name: str, value: object, kind: type, *, advice: str) -> None:
    """Raise unless an argument is of a class.

    Args:
        name: of the argument.
        value: what came.
        kind: what it has to be.
        advice: how to get one.

    Raises:
        SettingError: if it is not.
    """
    if not isinstance(value, kind):
        came = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        raise SettingError(f"expected {name} as a {kind.__name__}, got {came}; {advice}")


def brief(error: object, length: int = 160) -> str:
    """What somebody else's exception says, or its kind, in one line of that many characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:length]


def require_extra(module: str, extra: str) -> ModuleType:
    """Import an optional package where it is used.

    Raises:
        UnavailableError: if the package is missing; names the extra that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(
            f"this needs the package {module.split('.')[0]!r}, which is not installed: "
            f"pip install 'compd[{extra}]'"
        ) from error
