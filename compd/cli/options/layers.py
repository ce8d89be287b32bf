"""Who said which option of a pair: the command line, the project, or what a corpus remembers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from compd.cli.options.pair import PairOptions
from compd.cli.project import CommandDefaults
from compd.errors import CompdError, InputError, SettingError
from compd.files.names import check_data, looks_like_path
from compd.files.programs import Program, source_of
from compd.wording import command, setting

if TYPE_CHECKING:
    from compd.pair.requests import PairRequest

__all__ = ["DEFAULTS", "NAMING", "PATHS", "LayeredOptions", "layered"]

DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in fields(PairOptions)}
NAMING = ("pair", "model", "original")  # each says which pair
PATHS = ("weights", "pair", "original", "deployed", "labels")
_WHAT = {
    "weights": "a weights file",
    "pair": "a pair directory",
    "original": "a model's file",
    "deployed": "a model's file",
    "labels": "a file of class names",
    "data": "data",
}
# What a project says of these holds for any pair; the rest is of its own pair.
_OF_ANY_PAIR = {"data", "size", "resize", "crop", "device"}
_CODE = {"model", "student", "compress"}  # that can name a factory
_OF_ANY_MODEL = {
    "channels",
    "engine",
    "compress",
    "weight_bits",
    "activation_bits",
    "amount",
    "student",
    "student_width",
    "fine_tune_epochs",
    "fine_tune_lr",
}


@dataclass(frozen=True)
class LayeredOptions(PairOptions):
    """The options that name a pair, and which of them were not said for this command."""

    implied: frozenset[str] = frozenset()  # fields that a project or a corpus's memory says
    folder: Path | None = None  # where their modules and relative names are
    source: str = ""  # who says them, for messages
    started_in: Path | None = None  # where a program was named that a corpus remembers

    @property
    def said(self) -> dict[str, Any]:
        """The options of this command itself, without what is at its default."""
        return {
            name: getattr(self, name)
            for name, default in DEFAULTS.items()
            if name not in self.implied and getattr(self, name) != default
        }

    @property
    def says_pair(self) -> bool:
        """Whether the command itself names a pair."""
        return any(name in self.said for name in NAMING)

    @property
    def words(self) -> str:
        """The options that this command needs again: what is implied is implied there, too."""
        return PairOptions(**self.said).words

    def check_together(self) -> None:
        """As the options alone; says whose the pair is that leaves no room for one."""
        try:
            super().check_together()
        except SettingError as error:
            naming = next((name for name in NAMING if name in self.implied), None)
            if naming is None:
                raise
            whose = f"{setting(naming)} is of {self.source}"
            raise SettingError(f"{error.message.raw} ({whose})") from error

    def check(self) -> None:
        """Raise if a path that the command names is not there; imports nothing slow.

        Raises:
            CompdError: then, or if options do not go together.
        """
        self.check_together()
        said = self.said
        for name in PATHS:
            if name in said and not _is_there(said[name]):
                raise InputError(
                    f"expected {_WHAT[name]}, got {name}={str(said[name])!r} (no such "
                    f"{'directory' if name == 'pair' else 'file'}){_advice(name)}"
                )
        if "data" in said:
            check_data(said["data"])

    def request(self) -> PairRequest:
        """The pair that they name.

        Raises:
            CompdError: if options do not go together, or what is implied is not there any more.
        """
        from compd.pair.requests import PairFolder

        for name in sorted(self.implied):
            self._check_implied(name)
        if self.folder is not None and self._runs_code:
            _import_from(self.folder)
        request = super().request()
        if self.folder is not None and isinstance(request, PairFolder):
            return replace(request, folder=self.folder)
        return request

    def _source(self, deployed: str) -> Path | Program:
        return source_of(deployed, self.started_in if "deployed" in self.implied else None)

    @property
    def _runs_code(self) -> bool:
        if "pair" in self.implied and self.trust:
            return True
        said = {name: getattr(self, name) or "" for name in self.implied & _CODE}
        if "compress" in said:  # distil:student=pkg.module:factory
            said["compress"] = said["compress"].partition("student=")[2].partition(",")[0]
        return any(":" in name for name in said.values())

    def _check_implied(self, name: str) -> None:
        value = getattr(self, name)
        there = name not in PATHS or _is_there(value, self.started_in)
        if name == "data":
            try:
                check_data(value)
            except CompdError:
                if not looks_like_path(value):
                    raise
                there = False
        if not there:
            raise InputError(
                f"expected {_WHAT[name]} at {str(value)!r}, where {self.source} has it, got "
                f"nothing there; pass {setting(name)} with its place now"
            )


def _is_there(named: str | Path, started_in: Path | None = None) -> bool:
    """Whether there is such a file; what is wrong with a program is raised."""
    source = source_of(named, started_in)
    if isinstance(source, Path):
        return source.exists()
    source.check()
    return True


def layered(context: typer.Context, given: Mapping[str, Any]) -> LayeredOptions:
    """The options that name a pair, as the command line and the project say them.

    A pair that one of them names takes from the next what holds for any pair (its data, say), and
    not the weights of another model.

    Args:
        context: of the command.
        given: value of each option, whoever said it.
    """
    table = context.default_map
    project = table.project if isinstance(table, CommandDefaults) else frozenset[str]()
    by_file = {name for name in given if _source(context, name) == "DEFAULT_MAP"}
    layers = (
        {name for name in given if given[name] != DEFAULTS[name]} - by_file,
        by_file - project,  # the command's own table
        by_file & project,
    )
    kept: set[str] = set()
    for layer in layers:
        naming = [name for name in NAMING if name in kept]
        allowed = _OF_ANY_PAIR | (_OF_ANY_MODEL if naming == ["model"] else set())
        kept |= layer & allowed if naming else layer
    implied = frozenset(kept & layers[-1] - layers[0] - layers[1])
    folder = table.folder if isinstance(table, CommandDefaults) and _has_modules(implied) else None
    values = {name: value for name, value in given.items() if name in kept}
    return LayeredOptions(**values, implied=implied, folder=folder, source="[tool.compd]")


def _has_modules(implied: frozenset[str]) -> bool:
    return not implied.isdisjoint({"pair", *_CODE})


def _source(context: typer.Context, name: str) -> str:
    source = context.get_parameter_source(name)
    return "DEFAULT" if source is None else source.name


def _advice(name: str) -> str:
    return f"; make one with: {command('compress', out='DIR')}" if name == "pair" else ""


def _import_from(folder: Path) -> None:
    """Find modules in this folder first, and then in the working folder."""
    working, first = str(Path.cwd()), str(folder)
    if "" not in sys.path and working not in sys.path:
        sys.path.insert(0, working)
    if first != working:
        sys.path.insert(0, first)
