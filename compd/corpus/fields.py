"""Reading the fields of a record that may come from anywhere.

What a field cannot mean is refused here, once, so that nothing further on meets a NaN, a label that
no tensor holds or a bar that no picture fits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from compd.text import printable

__all__ = [
    "HASH",
    "finite",
    "hash_in",
    "integer",
    "mapping",
    "name",
    "number",
    "share",
    "text",
    "two",
    "unique",
    "whole",
]

HASH = re.compile(r"[0-9a-f]{64}")
_T = TypeVar("_T")
_MOST_VALUES = 100_000  # of settings, a fingerprint or a pair, which has the names of classes
_CONTAINER = 100  # what a list or an object counts: they take more time and memory than a number
_LONGEST_NAME = 4096  # characters: a path
_DEEPEST = 16  # objects and lists in each other: what is deeper cannot be written again everywhere


def finite(text: str) -> float:
    """A float as it stands in JSON, NaN and infinities refused."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {text[:40]}")
    return value


def whole(value: Any) -> int:
    """An integer of any size."""
    if type(value) is not int:  # a bool is an int, too
        raise TypeError(f"expected an integer, got {value!r:.40}")
    return value


def integer(value: Any, highest: int = 2**31 - 1) -> int:
    """An integer in 0..highest."""
    if not 0 <= whole(value) <= highest:
        raise ValueError(f"expected an integer in 0..{highest}, got {value!r:.40}")
    return int(value)


def number(value: Any) -> float:
    """A finite number."""
    if type(value) not in (int, float):
        raise TypeError(f"expected a number, got {value!r:.40}")
    return finite(str(value))


def share(value: Any) -> float:
    """A number in 0..1."""
    if not 0 <= number(value) <= 1:
        raise ValueError(f"expected a number in 0..1, got {value!r:.40}")
    return float(value)


def text(value: Any) -> str:
    """A string that can be encoded; what a terminal would obey is written out (``printable``)."""
    if not isinstance(value, str):
        raise TypeError(f"expected a string, got {value!r:.40}")
    value.encode()  # half a surrogate pair cannot be printed
    return printable(value)


def name(value: Any) -> str:
    """A :func:`text` for people; what is longer than any name is cut."""
    return text(value)[:_LONGEST_NAME]


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, its texts as :func:`text` gives them."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r:.40}")
    read: dict[str, Any] = _read(value, _DEEPEST, [_MOST_VALUES])
    return read


def _read(value: Any, depth: int, left: list[int]) -> Any:
    """One value of a JSON object; ``left`` holds how many more there may be."""
    if isinstance(value, str):
        return text(value)
    if not isinstance(value, dict | list):
        return value
    if not depth:
        raise ValueError(f"expected at most {_DEEPEST} levels of objects and lists")
    left[0] -= _CONTAINER + len(value)
    if left[0] < 0:
        raise ValueError(
            f"expected at most {_MOST_VALUES} values in an object; a list or an object in it "
            f"counts as {_CONTAINER}"
        )
    if isinstance(value, list):
        return [_read(part, depth - 1, left) for part in value]
    return {text(key): _read(part, depth - 1, left) for key, part in value.items()}


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these keys and values; no key comes twice, or readers see different things."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("expected each key once in an object")
    return content


def hash_in(name: Any, place: Any) -> str:
    """The hash in a file name, which must be exactly where that hash belongs."""
    sha256 = str(name).rpartition("/")[2].removesuffix(".png")
    if not HASH.fullmatch(sha256) or name != place(sha256):
        raise ValueError(f"file name {str(name)[:80]!r} is not {place('<hash>')}")
    return sha256


def two(values: Any, read: Callable[[Any], _T]) -> tuple[_T, _T]:
    """A list of two fields, each read by ``read``."""
    before, after = values
    return read(before), read(after)
