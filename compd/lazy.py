"""Names of a package that load on first use, so that importing it costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    Type checkers are not to see them: a module that has ``__getattr__`` has every name for them.

    Args:
        package: its full name; its ``__all__`` is what ``dir()`` and completion show.
        homes: name -> the module of the package that has it. No module of the package is called
            like such a name: once imported, it would hide it.
    """
    module = sys.modules[package]

    def load(name: str) -> Any:
        if name not in homes:  # with these arguments Python tells the nearest name
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}", name=name, obj=module
            )
        value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(module, name, value)
        return value

    def names() -> list[str]:
        return sorted(module.__all__)

    return load, names
