"""Options of a project: ``[tool.compd]`` in the nearest ``pyproject.toml``.

They become the defaults of the parser (click's ``default_map``), so a command does not know of
them. A key is the long name of an option, for all commands that have it; a table
``[tool.compd.COMMAND]`` holds for that command alone. ``[tool.compd.gate]`` is the gate's policy,
which :mod:`compd.gating.policy` reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from compd.errors import SettingError
from compd.files.names import anchored_data
from compd.files.outputs import is_standard_output
from compd.files.project import compd_table, find_project, read_project

__all__ = ["CommandDefaults", "project_defaults"]

_GATE = ("gate",)
# What a search was like is the corpus's to say for all commands on it; a project says it of fuzz.
_OF_A_SEARCH = {"strategy", "goal", "eps", "norm"}
_NEVER = {"help", "version", "debug"}
_LISTS_OF_FILES = {"confirm-on", "runtimes"}


class CommandDefaults(dict[str, Any]):
    """Defaults of a command by parameter, and where they come from.

    Args:
        project: of ``[tool.compd]`` itself.
        own: of the command's own table, which go first.
        folder: of the ``pyproject.toml``.
    """

    def __init__(self, project: Mapping[str, Any], own: Mapping[str, Any], folder: Path) -> None:
        super().__init__({**project, **own})
        self.project = frozenset(project) - frozenset(own)  # parameters
        self.folder = folder


def project_defaults(parser: Any, arguments: Sequence[str]) -> dict[str, Any]:
    """The ``default_map`` of a run; empty without a project, or where help is asked for.

    Args:
        parser: the parser of all commands.
        arguments: of the command line.

    Raises:
        CompdError: if the table has an unknown option, or a value of another type.
    """
    runs = any(word in parser.commands for word in arguments)
    if not runs or {"-h", "--help"} & {*arguments}:  # help is there, whatever is in a file
        return {}
    path = find_project(Path.cwd())
    if path is None:
        return {}
    table = compd_table(read_project(path), str(path))
    return _Reader(parser, path).read(table) if table else {}


class _Reader:
    """Reads one table.

    Args:
        parser: the parser of all commands.
        path: of the ``pyproject.toml``.
    """

    def __init__(self, parser: Any, path: Path) -> None:
        self._parser, self._path, self._folder = parser, path, path.parent
        self._options = {name: _options(one) for name, one in _leaves(parser)}

    def read(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults of all commands, nested as these are."""
        shared = {_name(key): one for key, one in table.items() if not isinstance(one, dict)}
        known = {name for options in self._options.values() for name in options}
        for name in shared:
            self._check(name, known, "[tool.compd]", "an option of compd")
        own = dict(self._tables(table, self._parser, ()))
        defaults: dict[str, Any] = {}
        for command, options in self._options.items():
            mine = own.get(command, {})
            left_out = set() if command == ("fuzz",) else _OF_A_SEARCH
            if command == _GATE:  # its table is the policy, which reads it
                left_out, mine = left_out | mine.keys(), {}
            values = [
                {
                    options[name].name: self._value(options[name], name, value, where)
                    for name, value in said.items()
                    if name in options
                }
                for said, where in (
                    ({k: v for k, v in shared.items() if k not in left_out}, "[tool.compd]"),
                    (mine, f"[tool.compd.{'.'.join(command)}]"),
                )
            ]
            place = defaults
            for part in command[:-1]:
                place = place.setdefault(part, {})
            place[command[-1]] = CommandDefaults(values[0], values[1], self._folder)
        return defaults

    def _tables(
        self, table: Mapping[str, Any], group: Any, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """The tables of commands, with the commands' names."""
        for key, value in table.items():
            here = (*path, key)
            if not isinstance(value, dict) and not path:
                continue  # an option for all commands
            where = ".".join(("tool.compd", *path))
            if key not in group.commands:
                self._refuse(key, group.commands, f"[{where}]", "a command of compd")
            if not isinstance(value, dict):
                raise SettingError(
                    f"expected [{where}.{key}] to be a table, got {value!r:.40}: {self._path}"
                )
            command = group.commands[key]
            if hasattr(command, "commands"):
                yield from self._tables(value, command, here)
                continue
            said = {_name(name): one for name, one in value.items()}
            for name in () if here == _GATE else said:
                self._check(
                    name, self._options[here], f"[{where}.{key}]", f"an option of {' '.join(here)}"
                )
            yield here, said

    def _check(self, name: str, known: Iterable[str], where: str, what: str) -> None:
        if name == "trust":  # the file may have come with what is not to be trusted
            raise SettingError(
                f"expected --trust on the command line, got trust in {where} of {self._path}; "
                "pass it there, if you know what is opened"
            )
        if name not in known:
            self._refuse(name, known, where, what)

    def _refuse(self, name: str, known: Iterable[str], where: str, what: str) -> None:
        near = difflib.get_close_matches(name[:80], sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SettingError(f"expected {what} in {where}, got {name!r}: {self._path}{hint}")

    def _value(self, option: Any, name: str, value: Any, where: str) -> Any:
        """A value as the option takes it; paths are the project's."""
        kind = option.type.name
        if kind == "boolean" and isinstance(value, bool):
            return value
        if kind == "integer" and type(value) is int:
            return value
        if kind == "float" and type(value) in (int, float):
            return value
        if kind in ("path", "file", "directory") and isinstance(value, str):
            whole = Path(value).expanduser()
            return value if is_standard_output(whole) else str(self._folder / whole)
        if kind == "text" and (text := _text(value)) is not None:
            if name == "data":
                return anchored_data(text, self._folder)
            if name in _LISTS_OF_FILES:
                return ",".join(self._file(part) for part in text.split(","))
            return text
        wanted = {"integer": "a whole number", "float": "a number", "boolean": "true or false"}
        raise SettingError(
            f"expected {name} as {wanted.get(kind, 'a text')} in {where}, got {value!r:.40}: "
            f"{self._path}"
        )

    def _file(self, part: str) -> str:
        whole = self._folder / part
        return str(whole) if whole.is_file() else part


def _leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """All commands that do something, with their names."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*path, name))
        else:
            yield (*path, name), command


def _options(command: Any) -> dict[str, Any]:
    """The options of a command, by their long names without the dashes."""
    return {
        opt.removeprefix("--"): option
        for option in command.params
        if option.param_type_name == "option"
        for opt in option.opts
        if opt.startswith("--") and opt.removeprefix("--") not in _NEVER
    }


def _name(key: str) -> str:
    return key.replace("_", "-")


def _text(value: Any) -> str | None:
    """A text as options take it; a list is one with commas."""
    if isinstance(value, list):
        parts = [_text(part) for part in value if not isinstance(part, list)]
        texts = [part for part in parts if part is not None]
        return ",".join(texts) if value and len(texts) == len(value) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)
