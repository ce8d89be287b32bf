"""Options of a project: ``[tool.compd]`` in the nearest ``pyproject.toml``.

They become the defaults of the parser (click's ``default_map``), so a command does not know of
them. A key is the long name of an option, for all commands that have it; a table
``[tool.compd.COMMAND]`` holds for that command alone. ``[tool.compd.gate]`` is the gate's policy,
which :mod:`compd.gating.policy` reads.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from compd.errors import SettingError
from compd.files.names import anchored_data
from compd.files.outputs import is_standard_output
from compd.files.programs import names_program
from compd.files.project import compd_table, find_project, read_project

__all__ = ["CommandDefaults", "project_defaults"]

_GATE = ("gate",)
# What a search was like is the corpus's to say for all commands on it; a project says it of fuzz.
_OF_A_SEARCH = {"strategy", "goal", "eps", "norm"}
_LISTS_OF_FILES = {"confirm-on", "runtimes"}


_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}


@dataclass(frozen=True)
class _Option:
    """An option of a command."""

    parameter: str  # of the function
    kind: type  # int, float, bool, str or Path


_Options: TypeAlias = Mapping[str, _Option]  # of one command, by long name without dashes
_Tree: TypeAlias = "Mapping[str, _Options | _Tree]"  # commands, and groups of them


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


def project_defaults(app: typer.Typer, arguments: Sequence[str]) -> dict[str, Any]:
    """The ``default_map`` of a run; empty without a project, or where help is asked for.

    Args:
        app: all commands.
        arguments: of the command line.

    Raises:
        CompdError: if the table has an unknown option, or a value of another type.
    """
    if {"-h", "--help", "--version"} & {*arguments}:  # they are there, whatever is in a file
        return {}
    path = find_project(Path.cwd())
    if path is None:
        return {}
    table = compd_table(read_project(path), str(path))
    return _Reader(_tree(app), path).read(table) if table else {}


class _Reader:
    """Reads one table.

    Args:
        commands: all of them.
        path: of the ``pyproject.toml``.
    """

    def __init__(self, commands: _Tree, path: Path) -> None:
        self._commands, self._path, self._folder = commands, path, path.parent
        self._options = dict(_leaves(commands))

    def read(self, table: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults of all commands, nested as these are."""
        shared = {_name(key): one for key, one in table.items() if not isinstance(one, dict)}
        self._check(shared, [*self._options.values()], "[tool.compd]", "an option of compd")
        own = dict(self._tables(table, self._commands, ()))
        defaults: dict[str, Any] = {}
        for command, options in self._options.items():
            mine = own.get(command, {})
            left_out = set() if command == ("fuzz",) else _OF_A_SEARCH
            if command == _GATE:  # its table is the policy, which reads it
                left_out, mine = left_out | mine.keys(), {}
            others = {name: one for name, one in shared.items() if name not in left_out}
            place = defaults
            for part in command[:-1]:
                place = place.setdefault(part, {})
            place[command[-1]] = CommandDefaults(
                self._values(others, options), self._values(mine, options), self._folder
            )
        return defaults

    def _tables(
        self, table: Mapping[str, Any], group: _Tree, path: tuple[str, ...]
    ) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
        """The tables of commands, with the commands' names."""
        for key, value in table.items():
            here = (*path, key)
            if not isinstance(value, dict) and not path:
                continue  # an option for all commands
            where = ".".join(("tool.compd", *path))
            if key not in group:
                self._refuse(key, group, f"[{where}]", "a command of compd")
            if not isinstance(value, dict):
                raise SettingError(
                    f"expected [{where}.{key}] to be a table, got {value!r:.40}: {self._path}"
                )
            if here not in self._options:
                yield from self._tables(value, group[key], here)  # type: ignore[arg-type]
                continue
            said = {_name(name): one for name, one in value.items()}
            if here != _GATE:
                what = f"an option of {' '.join(here)}"
                self._check(said, [self._options[here]], f"[{where}.{key}]", what)
            yield here, said

    def _check(
        self, said: Mapping[str, Any], commands: Sequence[_Options], where: str, what: str
    ) -> None:
        """Raise unless some command has each option, and takes its value."""
        for name, value in said.items():
            if name == "trust":  # the file may have come with what is not to be trusted
                raise SettingError(
                    f"expected --trust on the command line, got trust in {where} of {self._path}; "
                    "pass it there, if you know what is opened"
                )
            if name in {"deployed", *_LISTS_OF_FILES} and _has_program(value):
                raise SettingError(
                    f"expected a program on the command line, got {name}={str(value)!r:.60} in "
                    f"{where} of {self._path}; type --{name} there, if you know what it starts"
                )
            kinds = [options[name].kind for options in commands if name in options]
            if not kinds:
                self._refuse(name, {one for options in commands for one in options}, where, what)
            if not any(_fits(kind, value) for kind in kinds):
                raise SettingError(
                    f"expected {name} as {_WANTED.get(kinds[0], 'a text')} in {where}, got "
                    f"{value!r:.40}: {self._path}"
                )

    def _refuse(self, name: str, known: Iterable[str], where: str, what: str) -> None:
        near = difflib.get_close_matches(name[:80], sorted(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SettingError(f"expected {what} in {where}, got {name!r}: {self._path}{hint}")

    def _values(self, said: Mapping[str, Any], options: _Options) -> dict[str, Any]:
        """The values of a command's options, by parameter.

        One name can be two options: ``--seeds 40`` searches, ``--seeds`` exports. The value tells.
        """
        return {
            options[name].parameter: self._value(options[name].kind, name, value)
            for name, value in said.items()
            if name in options and _fits(options[name].kind, value)
        }

    def _value(self, kind: type, name: str, value: Any) -> Any:
        """A value as an option takes it; paths are the project's."""
        if kind is Path:
            whole = Path(value).expanduser()
            return value if is_standard_output(whole) else str(self._folder / whole)
        if kind is not str:
            return value
        text = _text(value) or ""
        if name == "data":
            return anchored_data(text, self._folder)
        if name == "deployed":
            return str(self._folder / Path(text).expanduser())
        if name in _LISTS_OF_FILES:
            return ",".join(self._file(part) for part in text.split(","))
        return text

    def _file(self, part: str) -> str:
        whole = self._folder / part
        return str(whole) if whole.is_file() else part


def _leaves(group: _Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], _Options]]:
    """All commands that do something, with their names."""
    for name, one in group.items():
        if all(isinstance(part, _Option) for part in one.values()):
            yield (*path, name), one  # type: ignore[misc]
        else:
            yield from _leaves(one, (*path, name))  # type: ignore[arg-type]


@cache  # it takes the time of a small command
def _tree(app: typer.Typer) -> _Tree:
    """All commands with their options."""
    tree: dict[str, Any] = {
        str(one.name): _options_of(one.callback) for one in app.registered_commands
    }
    for group in app.registered_groups:
        assert group.typer_instance is not None  # add_typer has one
        tree[str(group.name)] = _tree(group.typer_instance)
    return tree


def _options_of(command: Any) -> _Options:
    """The options of a command's function, read as the parser reads them: from its annotations."""
    found = {}
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        kind, option = get_args(hint)[:2]
        if isinstance(option, OptionInfo):
            kinds = [one for one in get_args(kind) or (kind,) if one is not type(None)]
            names = (option.default, *(option.param_decls or ()))  # as Annotated has them
            long = next(str(name) for name in names if str(name).startswith("--"))
            name, _, _ = long.removeprefix("--").partition("/")  # --confirm/--no-confirm
            found[name] = _Option(parameter, kinds[0])
    return found


def _name(key: str) -> str:
    return key.replace("_", "-")


def _fits(kind: type, value: Any) -> bool:
    if kind is str:
        return _text(value) is not None
    if kind is Path:
        return isinstance(value, str)
    return type(value) is kind or (kind is float and type(value) is int)


def _has_program(value: Any) -> bool:
    """Whether a file, or one of a list of them, is a program that would be run."""
    return any(names_program(part.strip()) for part in (_text(value) or "").split(","))


def _text(value: Any) -> str | None:
    """A text as options take it; a list is one with commas."""
    if isinstance(value, list):
        parts = [_text(part) for part in value if not isinstance(part, list)]
        texts = [part for part in parts if part is not None]
        return ",".join(texts) if value and len(texts) == len(value) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)
