"""Plug-ins by name: a frozen configuration each, and what it configures.

Those of other packages come from entry points, which are looked at when a name is asked for that is
not known, or all names are; and from :func:`compd.register`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from importlib.metadata import entry_points
from typing import Any, Generic, Protocol, TypeVar

from compd.errors import InputError, SettingError, brief, unknown

__all__ = ["Plugins", "Registry"]

T = TypeVar("T")


class Plugins(Mapping[str, T], Generic[T]):
    """Entries by name, ours and those of other packages.

    Args:
        what: one of them, for error messages: ``runtime``.
        entries: ours, by name.
        group: of entry points; each is an entry under its own name.
    """

    def __init__(self, what: str, entries: Mapping[str, T], *, group: str) -> None:
        self._what, self._group = what, group
        self._entries = dict(entries)
        self._looked = False

    def register(self, name: str, entry: T) -> None:
        """Add an entry.

        Raises:
            SettingError: if there is one of that name.
        """
        if name in self._entries and self._entries[name] != entry:
            raise SettingError(f"a {self._what} of a new name", name=name)
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self._look()
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            self._look()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(self._entries)

    def __len__(self) -> int:
        self._look()
        return len(self._entries)

    def _look(self) -> None:
        """Take in what other packages offer."""
        if self._looked:
            return
        self._looked = True
        for point in entry_points(group=self._group):
            try:
                entry = point.load()
            except Exception as error:  # of whatever that package does
                raise InputError(
                    f"expected the {self._what} {point.name!r} of {point.value!r} to load, got "
                    f"{type(error).__name__}: {brief(error)}; mend or remove that package"
                ) from error
            self.register(point.name, entry)


class _Configured(Protocol):
    @property
    def config(self) -> type[Any]: ...  # a frozen dataclass


E = TypeVar("E", bound=_Configured)


class Registry(Plugins[E]):
    """Entries that have configurations: it makes these and knows them again."""

    def make(self, name: str, **settings: Any) -> Any:
        """Make a configuration by name; settings that are None keep their default.

        Raises:
            SettingError: if the name is unknown, or its entry has no such setting.
        """
        if name not in self:
            raise unknown(self._what, name, self)
        given = {key: value for key, value in settings.items() if value is not None}
        for key in given:
            if key not in _fields(self[name]):
                takers = [n for n, entry in self.items() if key in _fields(entry)]
                raise SettingError(
                    f"{key} with {self._what} {' or '.join(takers) or '(none has it)'}",
                    **{self._what: name},
                )
        return self[name].config(**given)

    def parse(self, text: str, **settings: Any) -> Any:
        """Make a configuration of ``name`` or ``name:steps=8,stride=0.5``.

        Args:
            text: the name, and settings that are numbers, words, ``true`` or ``false``.
            settings: more of them; None keeps what the text says, or the default.

        Raises:
            SettingError: also if a value is of another kind than its setting's default.
        """
        name, colon, rest = text.partition(":")
        given: dict[str, Any] = {}
        for part in rest.split(",") if colon else ():
            key, equals, value = part.partition("=")
            if not equals:
                raise SettingError("NAME:SETTING=VALUE,…", **{self._what: text})
            given[key.strip().replace("-", "_")] = value.strip()
        if name in self:  # else make() says what is known
            defaults = {f.name: f.default for f in fields(self[name].config)}
            given = {
                key: _value(value, defaults.get(key), f"{self._what} {name}", key)
                for key, value in given.items()
            }
        named = {key: value for key, value in settings.items() if value is not None}
        return self.make(name, **{**given, **named})

    def name_of(self, config: Any) -> str:
        """The name under which a configuration is registered.

        Raises:
            SettingError: if it is of no entry.
        """
        for name in (*self._entries, *self):  # others are looked at if it is none of ours
            if type(config) is self[name].config:
                return name
        raise unknown(self._what, type(config).__name__, self)

    def of(self, config: Any) -> E:
        """The entry of a configuration.

        Raises:
            SettingError: if there is none.
        """
        return self[self.name_of(config)]

    def settings_of(self, config: Any) -> dict[str, Any]:
        """A configuration as a JSON object, its name first."""
        return {"name": self.name_of(config), **asdict(config)}


def _fields(entry: _Configured) -> set[str]:
    return {field.name for field in fields(entry.config)}


def _value(text: str, default: Any, what: str, key: str) -> Any:
    """A setting's value from text: of its default's kind, or a number where that is None."""
    kinds = (int, float) if default is None or isinstance(default, int | float) else (str,)
    if isinstance(default, bool):
        words = {"true": True, "false": False}
        if text.lower() not in words:
            raise SettingError(f"true or false for {key} of {what}", **{key: text})
        return words[text.lower()]
    for kind in (int,) if type(default) is int else kinds:
        try:
            return kind(text)
        except ValueError:
            continue
    if default is None:
        return text
    raise SettingError(f"a number for {key} of {what}", **{key: text})
