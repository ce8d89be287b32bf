"""Help comes at once, and says what there is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

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
