"""What many records of a corpus have in common, kept once, and how much memory all of it takes.

The entries of a campaign have one fingerprint, one pair and one strategy; with a thousand classes
that is nearly all of a line.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from compd.corpus.fields import mapping

__all__ = ["Shared"]

# Bytes, measured on CPython 3.11 and rounded up.
_RECORD = 1300  # a record with its numbers, its hashes and two answers
_MINIMISED = 900  # what minimisation adds to it
_VALUE = 100  # a value in a list or an object, with its place there
_MARKS = {"[": 72, "{": 240, ",": 60}  # a list, an object, a value more in either
_TEXT = 170  # a text of its own, beside its letters


class Shared:
    """Equal texts and objects as one; ``size`` is the estimate of all that was kept, in bytes."""

    def __init__(self) -> None:
        self.size = 0
        self._texts: dict[str, str] = {}
        self._objects: dict[bytes, dict[str, Any]] = {}

    def text(self, value: str) -> str:
        """The first text that was equal to this one."""
        kept = self._texts.setdefault(value, value)
        if kept is value:
            self.size += _TEXT + 4 * len(value)
        return kept

    def mapping(self, value: Any) -> dict[str, Any]:
        """The first JSON object that was written like this one.

        Raises:
            TypeError: if it is no object.
            ValueError: if it is nested too deeply, or has a text that cannot be encoded.
        """
        text = json.dumps(value, separators=(",", ":"))
        key = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if key not in self._objects:
            self._objects[key] = mapping(value)
            values = sum(each * text.count(mark) for mark, each in _MARKS.items())
            self.size += _RECORD + 4 * len(text) + values  # no walk: that takes a second a megabyte
        return self._objects[key]

    def record(self, classes: int, *, minimised: bool) -> None:
        """Count a record.

        Args:
            classes: that its two answers list.
            minimised: whether minimisation made it.
        """
        self.size += _RECORD + _VALUE * classes + _MINIMISED * minimised
