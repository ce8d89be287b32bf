"""Messages of the library as the command line says them: with options, not arguments."""

from __future__ import annotations

from typing import Any

from compd.wording import Worded

__all__ = ["as_options"]


def as_options(said: Any) -> Any:
    """A message, or all messages in what is written as JSON."""
    if isinstance(said, Worded):
        return said.as_options()
    if isinstance(said, dict):
        return {key: as_options(value) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [as_options(value) for value in said]
    return said
