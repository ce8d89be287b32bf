"""Text that came from a file or a stranger, made fit for a terminal and for one line."""

from __future__ import annotations

import re

__all__ = ["names_in", "one_line", "printable", "shortened"]

# What a terminal obeys (C0, DEL, C1), line and paragraph separators, and marks that turn the order
# of letters around, so that a text can look like another one.
_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_HEAD, _TAIL = 1500, 400  # characters of a message that is too long to read


def printable(text: str) -> str:
    r"""The text with each character that a terminal obeys written out, such as ``\x1b``.

    What is printable already comes back as it is, so doing it twice changes nothing.
    """
    return _OBEYED.sub(_written_out, text)


def one_line(message: str) -> str:
    """A message as one printable line of bearable length; the middle of a longer one is cut."""
    if len(message) > 4 * (_HEAD + _TAIL):  # before anything that takes time
        message = f"{message[: 2 * _HEAD]} {message[-2 * _TAIL :]}"
    line = printable(" ".join(message.split()))
    return line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} … {line[-_TAIL:]}"


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def shortened(text: str, most: int = 120) -> str:
    """Text as one printable line of at most so many characters; the end of a longer one is cut."""
    line = printable(" ".join(text[: 4 * most].split()))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def names_in(text: str) -> list[str]:
    """Names with commas between, each perhaps with settings that have commas, too.

    ``shifts,bits:most=8,fewest=6`` are ``shifts`` and ``bits:most=8,fewest=6``.
    """
    found: list[str] = []
    for part in text.split(","):
        if "=" in part.partition(":")[0] and found:  # a further setting of the last one
            found[-1] += f",{part}"
        elif part.strip():
            found.append(part.strip())
    return found
