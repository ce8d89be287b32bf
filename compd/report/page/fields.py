"""Reading a JSON object that may come from a stranger: each value is of its kind, or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from compd.errors import InputError
from compd.statistics import Share
from compd.text import one_line

__all__ = ["Fields"]

_LARGEST = 1 << 53  # whole numbers that JSON's readers agree on
_LETTERS = 400  # of a text
_MOST = 100_000  # objects in a list
_KEYS = 2000  # of a mapping from names to values


class Fields:
    """A JSON object.

    Args:
        content: the object.
        name: of what it was read from, for messages.
        path: of the object within it, for messages.
    """

    def __init__(self, content: object, name: str, path: str = "") -> None:
        self._name, self._path = name, path
        if not isinstance(content, Mapping):
            raise self._wrong("", "an object", content)
        self.content: Mapping[str, Any] = content

    def __contains__(self, key: str) -> bool:
        return self.content.get(key) is not None

    def text(self, key: str, otherwise: str | None = None) -> str:
        """A text, as one printable line; what is longer than 400 characters is cut."""
        value = self.content.get(key, otherwise)
        if not isinstance(value, str):
            raise self._wrong(key, "a text", value)
        return _clipped(value)

    def number(self, key: str, least: float = 0.0, most: float = 1e15) -> float:
        """A finite number in a range."""
        value = self.content.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number", value)
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise self._wrong(key, "a number of bearable size", value)
        if not isfinite(value) or not least <= value <= most:
            raise self._wrong(key, f"a number in {least:g}..{most:g}", value)
        return float(value)

    def maybe(self, key: str, least: float = 0.0, most: float = 1e15) -> float | None:
        """The same; None where it is null or missing."""
        return self.number(key, least, most) if key in self else None

    def count(self, key: str, otherwise: int | None = None) -> int:
        """A whole number of things."""
        if otherwise is not None and key not in self:
            return otherwise
        value = self.number(key)
        if value != int(value):
            raise self._wrong(key, "a whole number", value)
        return int(value)

    def part(self, key: str, whole: str) -> int:
        """A count of things that another key counts all of."""
        count, of = self.count(key), self.count(whole)
        if count > of:
            raise self._wrong(key, f"no more than its {whole} ({of})", count)
        return count

    def share(self, key: str) -> Share:
        """A count of a number of things, with an interval of our own making."""
        one = self.inner(key)
        return Share.count_of(one.part("count", "of"), one.count("of"))

    def flag(self, key: str) -> bool:
        """Whether something is so; what is missing is not."""
        return self.content.get(key) is True

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; none where it is missing."""
        return tuple(
            _clipped(one) if isinstance(one, str) else _clipped(repr(one))
            for one in self._list(key)
        )

    def inner(self, key: str) -> Fields:
        """An object within."""
        return Fields(self.content.get(key), self._name, self._at(key))

    def objects(self, key: str) -> Iterator[Fields]:
        """A list of objects; none where it is missing."""
        for i, one in enumerate(self._list(key)):
            yield Fields(one, self._name, f"{self._at(key)}[{i}]")

    def names(self, key: str) -> Mapping[str, str]:
        """An object's values as texts, whatever they are; none where it is missing."""
        if key not in self:
            return {}
        one = self.inner(key).content
        return {_clipped(k): _clipped(str(v)) for k, v in list(one.items())[:_KEYS]}

    def numbers(self, key: str) -> Mapping[str, float]:
        """An object's values as numbers; none where it is missing."""
        if key not in self:
            return {}
        one = self.inner(key)
        return {_clipped(k): one.number(k, -1e15) for k in list(one.content)[:_KEYS]}

    def _list(self, key: str) -> Sequence[Any]:
        value = self.content.get(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple) or len(value) > _MOST:
            raise self._wrong(key, f"a list of at most {_MOST}", value)
        return value

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path and key else self._path or key

    def _wrong(self, key: str, expected: str, value: object) -> InputError:
        where = f" as its {self._at(key)[:80]}" if self._at(key) else ""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
            got = "one of many digits"  # writing it out may not be allowed
        else:
            got = f"{type(value).__name__} {value!r:.40}" if value is not None else "none"
        return InputError(
            f"expected a result of compd fuzz, gate, repair or study, with {expected}{where}, "
            f"got {got} in {self._name}"
        )


def _clipped(text: str) -> str:
    line = one_line(text[: 2 * _LETTERS])
    return line if len(line) <= _LETTERS else f"{line[: _LETTERS - 1]}…"
