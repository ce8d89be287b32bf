"""Settings and commands in messages: arguments in Python, options on the command line.

A message that names a setting does so by :func:`setting`. As text it then says what a caller in
Python passes (``layout='NCHW'``); the command line words it as its option (``--layout NCHW``).
"""

from __future__ import annotations

import re
import shlex

__all__ = ["Worded", "command", "options", "setting"]

# Letters of a private area stand around a setting's name, and between that and its value.
_OPEN, _IS, _CLOSE = "\ue000", "\ue001", "\ue002"
_SETTING = re.compile(f"{_OPEN}([^{_OPEN}{_IS}{_CLOSE}]*)(?:{_IS}([^{_OPEN}{_CLOSE}]*))?{_CLOSE}")


def setting(name: str, value: object = None) -> str:
    """A setting, to be put into a message.

    Args:
        name: as Python's argument has it: ``reduce_range``.
        value: to pass; None where only the setting is named.
    """
    given = "" if value is None else f"{_IS}{value}"
    return f"{_OPEN}{name}{given}{_CLOSE}"


def command(name: str, *arguments: object, **given: object) -> str:
    """A command of ``compd``, ready to be typed.

    Args:
        name: of the command: ``corpus show``.
        arguments: that have no name.
        given: options by name; what is None, False or empty is left out, and True is a flag.
    """
    words = ["compd", name, *map(str, arguments), options(**given)]
    return " ".join(filter(None, words))


def options(**given: object) -> str:
    """Options with their values, ready to be typed; what is left out: as of :func:`command`."""
    return " ".join(
        _option(key) if value is True else f"{_option(key)} {_quoted(value)}"
        for key, value in given.items()
        if value is not False and value not in (None, "")
    )


def _quoted(value: object) -> str:
    """As a shell takes it; what stands for something of the user's stays bare."""
    text = str(value)
    return f"'{text}'" if "…" in text else shlex.quote(text)


class Worded(str):
    """A message; as a string, it names settings as Python does."""

    raw: str  # with the marks of :func:`setting`

    def __new__(cls, raw: str) -> Worded:
        """Read the marks."""
        message = super().__new__(cls, _SETTING.sub(lambda m: _argument(m[1], m[2]), raw))
        message.raw = raw
        return message

    def as_options(self) -> str:
        """The message as the command line says it."""

        def word(match: re.Match[str]) -> str:
            value = match[2]
            if value is None or value == "True":
                return _option(match[1])
            return f"{_option(match[1])} {value}"

        return _SETTING.sub(word, self.raw)


def _argument(name: str, value: str | None) -> str:
    return name if value is None else f"{name}={value}"


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
