"""Plug-ins by name: a frozen configuration each, and what it configures.

Those of other packages come from entry points, which are looked at when a name is asked for that is
not known, or all names are; and from :func:`compd.register`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from compd.errors import CompdError, CompdWarning, InputError, SettingError, brief, unknown

__all__ = ["Plugins", "Registry", "defaults_of"]

T = TypeVar("T")


class Plugins(Mapping[str, T], Generic[T]):
    """Entries by name, ours and those of other packages.

    Args:
        what: one of them, for error messages: ``runtime``.
        kind: the class of the entries.
        group: of entry points; each is an entry under its own name.
    """

    def __init__(self, what: str, entries: Mapping[str, T], *, kind: type[T], group: str) -> None:
        self._what, self._kind, self._group = what, kind, group
        self._entries = dict(entries)
        self._broken: dict[str, CompdError] = {}  # what does not load, and why
        self._looked = False

    def register(self, name: str, entry: T) -> None:
        """Add an entry.

        Raises:
            SettingError: if there is one of that name, or it is not what an entry has to be.
        """
        if name in self._entries and self._entries[name] != entry:
            raise SettingError(f"a {self._what} of a new name", name=name)
        self._check(name, entry)
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            self._look()
        if name not in self._entries and name in self._broken:
            raise self._broken[name]
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            self._look()
        return name in self._entries or name in self._broken

    def __iter__(self) -> Iterator[str]:
        self._look()
        return iter(self._entries)

    def __len__(self) -> int:
        self._look()
        return len(self._entries)

    def _check(self, name: str, entry: T) -> None:
        if not isinstance(entry, self._kind):
            raise SettingError(
                f"expected the {self._what} {name!r} as a {self._kind.__name__}, got "
                f"{type(entry).__name__}"
            )

    def _look(self) -> None:
        """Take in what other packages offer; what is wrong with one is told who asks for it."""
        if self._looked:
            return
        self._looked = True
        for point in entry_points(group=self._group):
            try:
                self.register(point.name, point.load())
            except Exception as error:  # of whatever that package does
                self._broken[point.name] = self._why(point, error)
                if point.name in self._entries:  # then nobody can ask for this one
                    warnings.warn(CompdWarning(str(self._broken[point.name])), stacklevel=3)

    def _why(self, point: EntryPoint, error: Exception) -> CompdError:
        whose = "" if point.dist is None else f" of the package {point.dist.name!r}"
        kind = "" if isinstance(error, CompdError) else f"{type(error).__name__}: "
        return InputError(
            f"expected the {self._what} {point.name!r}{whose} to load from {point.value!r}, got "
            f"{kind}{brief(error)}; mend or remove that package"
        )


class _Configured(Protocol):
    @property
    def config(self) -> type[Any]: ...  # a frozen dataclass


E = TypeVar("E", bound=_Configured)


class Registry(Plugins[E]):
    """Entries that have configurations: it makes these and knows them again."""

    def _check(self, name: str, entry: E) -> None:
        super()._check(name, entry)
        config = entry.config
        if not isinstance(config, type) or not is_dataclass(config):
            raise SettingError(
                f"expected the configuration of the {self._what} {name!r} as a frozen dataclass, "
                f"got {config!r:.60}"
            )
        for field in fields(config):
            if field.init and MISSING is field.default is field.default_factory:
                raise SettingError(
                    f"expected each setting of the {self._what} {name!r} to have a default, got "
                    f"{field.name!r} without one"
                )

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
            defaults = defaults_of(self[name].config)
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
        known = _name_in(self._entries, config)  # others are looked at if it is none of ours
        known = _name_in(self, config) if known is None else known
        if known is None:
            raise unknown(self._what, type(config).__name__, self)
        return known

    def of(self, config: Any) -> E:
        """The entry of a configuration.

        Raises:
            SettingError: if there is none.
        """
        return self[self.name_of(config)]

    def settings_of(self, config: Any) -> dict[str, Any]:
        """A configuration as a JSON object, its name first."""
        return {"name": self.name_of(config), **asdict(config)}


def defaults_of(config: type[Any]) -> dict[str, Any]:
    """The default of each field of a dataclass that has no others."""
    made = config()
    return {field.name: getattr(made, field.name) for field in fields(config)}


def _name_in(entries: Mapping[str, _Configured], config: Any) -> str | None:
    return next((name for name, entry in entries.items() if type(config) is entry.config), None)


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
