"""Plug-ins by name: a frozen configuration each, and what it configures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any, Protocol, TypeVar

from compd.errors import SettingError, unknown

__all__ = ["Registry"]


class _Entry(Protocol):
    @property
    def config(self) -> type[Any]: ...  # a frozen dataclass


E = TypeVar("E", bound=_Entry)


class Registry(Mapping[str, E]):
    """Entries by name, which makes their configurations and knows them again.

    Args:
        what: one of them, for error messages: ``strategy``.
        entries: by name.
    """

    def __init__(self, what: str, entries: Mapping[str, E]) -> None:
        self._what = what
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> E:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def make(self, name: str, **settings: Any) -> Any:
        """Make a configuration by name; settings that are None keep their default.

        Raises:
            CompdError: if the name is unknown, or its entry has no such setting.
        """
        if name not in self:
            raise unknown(self._what, name, self)
        given = {key: value for key, value in settings.items() if value is not None}
        for key in given:
            takers = [
                n for n, entry in self.items() if key in {f.name for f in fields(entry.config)}
            ]
            if name not in takers:
                raise SettingError(
                    f"expected {key} with {self._what} {' or '.join(takers) or '(none has it)'}, "
                    f"got {self._what}={name!r}"
                )
        return self[name].config(**given)

    def name_of(self, config: Any) -> str:
        """The name under which a configuration is registered.

        Raises:
            CompdError: if it is of no entry.
        """
        for name, entry in self.items():
            if type(config) is entry.config:
                return name
        raise unknown(self._what, type(config).__name__, self)

    def of(self, config: Any) -> E:
        """The entry of a configuration.

        Raises:
            CompdError: if there is none.
        """
        return self[self.name_of(config)]

    def settings_of(self, config: Any) -> dict[str, Any]:
        """A configuration as a JSON object, its name first."""
        return {"name": self.name_of(config), **asdict(config)}
