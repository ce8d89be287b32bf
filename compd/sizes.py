"""Height and width of images: ``224`` where both are the same, else ``96x192``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from compd.errors import SettingError

__all__ = ["AnySize", "Size"]


class Size(NamedTuple):
    """Height and width in pixels; zeros where they are not known."""

    height: int
    width: int

    @classmethod
    def of(cls, size: AnySize) -> Size:
        """A size as a caller has it: one number, two, or their text.

        Raises:
            SettingError: if it is anything else.
        """
        if isinstance(size, str):
            found = re.fullmatch(r"([0-9]{1,5})(?:[x×]([0-9]{1,5}))?", size.strip())
            if found is not None:
                return cls(int(found[1]), int(found[2] or found[1]))
        elif type(size) is int:  # a bool is an int, too
            return cls(size, size)
        elif isinstance(size, Sequence) and len(size) == 2 and {*map(type, size)} == {int}:
            return cls(*size)
        raise SettingError("a size, 224 or 96x192 (height x width)", size=size)

    def __bool__(self) -> bool:
        """Whether it is known."""
        return self.height > 0 < self.width

    def __str__(self) -> str:
        return str(self.height) if self.height == self.width else f"{self.height}x{self.width}"

    @property
    def sides(self) -> str:
        """Both numbers, for people: ``224x224``."""
        return f"{self.height}x{self.width}"

    def to_json(self) -> int | list[int]:
        """As files have it: one number for a square."""
        return self.height if self.height == self.width else [self.height, self.width]


AnySize: TypeAlias = Size | int | str | tuple[int, int]
