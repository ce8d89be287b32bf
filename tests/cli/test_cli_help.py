"""Help comes at once, and says what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.main import get_command

from compd.cli import app
from compd.cli.panels import PANELS

Run = Callable[..., Any]
COMMANDS = ["fuzz", "train", "compress", "export", "corpus", "corpus list", "corpus show"]
COMMANDS += ["corpus verify", "corpus stats", "corpus minimise"]

_HELP = """
import sys
from compd.cli import _run
for command in sys.argv[1:]:
    assert _run([*command.split(), "--help"]) == 0
heavy = {"torch", "numpy", "PIL", "sklearn", "datasets", "safetensors"} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _HELP, "", *COMMANDS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for command in COMMANDS:
        assert f"Usage: compd {command}" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["corpus"]])
def test_no_arguments_print_the_help(run: Run, arguments: list[str]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.err.startswith("Usage: compd")
    assert len(ran.err.splitlines()) > 5


def test_the_version_is_the_packages(run: Run) -> None:
    from compd import __version__

    assert run("--version").out == f"compd {__version__}\n"


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[list[str], Any]]:
    """Each command's words, and its parameters."""
    for name, one in (group or get_command(app)).commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, (*before, name))
        else:
            yield [*before, name], one.params


def options_in(text: str) -> set[str]:
    return set(re.findall(r"^  (?:-\w, )?--([\w-]+)", text, re.MULTILINE))


@pytest.mark.parametrize("columns", ["80", "120"])
def test_help_shows_what_most_people_need_and_the_rest_when_asked(
    run: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    known = [name for names in PANELS.values() for name in names]
    assert len(known) == len(set(known))
    for words, params in commands():
        options = {max(p.opts, key=len)[2:] for p in params if p.param_type_name == "option"}
        assert options <= set(known), words
        short, whole = run(*words, "--help").out, run(*words, "--help-all").out
        assert options_in(whole) == options | {"help"}
        assert options_in(short) <= options_in(whole)
        assert len(options_in(short)) <= 25, words
        assert {"quiet", "help", "help-all"} <= options_in(short)
        left = len(options_in(whole)) - len(options_in(short))
        assert (f"{left} more options: --help-all" in short) == (left > 0)
        assert max(map(len, whole.splitlines())) <= int(columns)


def test_the_panels_of_fuzz_come_in_order(run: Run) -> None:
    text = run("fuzz", "--help").out
    panels = [line[:-1] for line in text.splitlines() if line[:1].isupper() and line[-1] == ":"]
    files = "Files that somebody else made"
    assert panels == ["What to test", files, "Search", "Budget", "Output"]


@pytest.mark.parametrize("group", [[], ["corpus"], ["baseline"]])
def test_descriptions_of_commands_are_whole_at_80_columns(
    run: Run, monkeypatch: pytest.MonkeyPatch, group: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = run(*group, "--help").out.split("Commands:\n")[1].splitlines()
    assert len(lines) > 2
    for line in lines:
        assert line.endswith("."), line
        assert not line.endswith("..."), line
