"""What the command line says of how files take images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from compd.cli.options import common as o
from compd.errors import SettingError, unknown

if TYPE_CHECKING:
    from compd.runtimes import Overrides

__all__ = ["overrides_of", "words_of"]

_WORDS = ("layout", "range", "mean", "std", "bgr", "output", "output-name")
_SECONDS = ("deadline", "start-deadline")


def overrides_of(said: Mapping[str, str | None], *, trust: bool = False) -> Overrides:
    """Parse options by name; those that are missing or None are left to the file.

    Raises:
        CompdError: if a value makes no sense.
    """
    from compd.runtimes import Overrides

    if (said.get("mean") is None) != (said.get("std") is None):
        raise SettingError("--mean and --std together", mean=said.get("mean"), std=said.get("std"))
    bgr = said.get("bgr")
    return Overrides(
        said.get("layout"),
        _range(said.get("range")),
        o.floats(said.get("mean"), "mean"),
        o.floats(said.get("std"), "std"),
        None if bgr is None else bgr != "no",
        said.get("output"),
        True if trust else None,
        said.get("output_name"),
        said.get("engine"),
        _seconds(said, "deadline"),
        _seconds(said, "start_deadline"),
    )


def words_of(text: str | None) -> dict[str, str | None]:
    """``layout=NHWC range=-1,1 bgr`` as options by name.

    Raises:
        CompdError: if a word is none of them.
    """
    said: dict[str, str | None] = {}
    for word in (text or "").split():
        key, _, value = word.partition("=")
        if key not in (*_WORDS, *_SECONDS):
            raise unknown("word of --deployed-input", key, (*_WORDS, *_SECONDS))
        said[key.replace("-", "_")] = value
    return said


def _seconds(said: Mapping[str, str | None], name: str) -> float | None:
    text = said.get(name)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise SettingError("a number of seconds", **{name: text}) from error


def _range(text: str | None) -> tuple[float, float] | None:
    ends = o.floats(text, "range")
    if ends is None:
        return None
    if len(ends) != 2:
        raise SettingError("range as low,high (0,255)", range=text)
    return ends[0], ends[1]
