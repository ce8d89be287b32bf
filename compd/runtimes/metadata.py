"""What ``compd export`` writes into a file about itself, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping

from compd.errors import InputError, brief
from compd.runtimes.formats import Overrides

__all__ = ["class_names_of", "overrides_of"]

_NUMBERS = {"range", "mean", "std"}
_SAID = {"layout", "output", *_NUMBERS}


def overrides_of(metadata: Mapping[str, str], name: str) -> Overrides:
    """What a file's metadata say of its input, as ``compd export`` writes them.

    Raises:
        CompdError: if they make no sense.
    """
    said = {key: metadata.get(f"compd.{key}", "none") for key in _SAID}
    given = {key: text for key, text in said.items() if text != "none"}
    try:
        tuples = {key: tuple(map(float, given[key].split(","))) for key in _NUMBERS & given.keys()}
        return Overrides(layout=given.get("layout"), output=given.get("output"), **tuples)  # type: ignore[arg-type]
    except ValueError as error:
        raise InputError(
            f"expected numbers in compd's own metadata in {name!r}, got {brief(error, 80)}"
        ) from error


def class_names_of(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the classes; empty if the file does not have them."""
    try:
        return tuple(map(str, json.loads(metadata.get("compd.classes", "[]"))))
    except (ValueError, TypeError, RecursionError):
        return ()  # names are for people: numbers do as well
