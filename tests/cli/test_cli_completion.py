"""A shell completes commands, options and what options can be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.cli.options.choices import VALUES, completing

Run = Callable[..., Any]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment with a ``compd`` on its path."""
    program = tmp_path / "bin" / "compd"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m compd "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


def output(command: list[str], environment: dict[str, str], **more: str) -> str:
    done = subprocess.run(
        command, env={**environment, **more}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        (["compd", "corp"], ["corpus"]),
        (["compd", "corpus", "min"], ["minimise"]),
        (["compd", "fuzz", "--no"], ["--norm", "--no-confirm"]),
        (["compd", "fuzz", "--goal", ""], ["first", "severe"]),
        (["compd", "fuzz", "--strategy", "d"], ["diva", "dflare"]),
        (["compd", "corpus", "minimise", "--keep", ""], ["kinds", "distinct"]),
    ],
    ids=" ".join,
)
def test_bash(shell: dict[str, str], typed: list[str], proposed: list[str]) -> None:
    words = " ".join(f"'{word}'" for word in typed)
    script = (
        'eval "$(_COMPD_COMPLETE=source_bash compd)"; '
        "function=$(complete -p compd | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
        f"COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; "
        '"$function" compd; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    said = output(["bash", "--norc", "-c", script], shell)
    assert said.splitlines() == proposed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "compd fuzz --engine q"}),
        (
            "fish",
            {
                "_TYPER_COMPLETE_ARGS": "compd fuzz --engine q",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        ),
    ],
)
def test_other_shells_ask_in_their_ways(
    shell: dict[str, str], name: str, words: dict[str, str]
) -> None:
    assert "_COMPD_COMPLETE" in output(["compd"], shell, _COMPD_COMPLETE=f"source_{name}")
    said = output(["compd"], shell, _COMPD_COMPLETE=f"complete_{name}", **words)
    assert "qnnpack" in said
    assert "x86" not in said


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_it_is_shown_and_installed_for_the_shell_that_runs_it(shell: dict[str, str]) -> None:
    shown = output(["bash", "--norc", "-c", "compd --show-completion; true"], shell)
    assert "complete -o default -F _compd_completion compd" in shown
    said = output(["bash", "--norc", "-c", "compd --install-completion; true"], shell)
    assert "bash completion installed" in said
    assert "bash_completions" in (Path(shell["HOME"]) / ".bashrc").read_text()


def test_completing_imports_nothing_heavy(shell: dict[str, str]) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('heavy', {'torch', 'numpy'} & set(sys.modules)))\n"
        "from compd.cli import _run\n_run([])"
    )
    words = {"COMP_WORDS": "compd fuzz --norm ", "COMP_CWORD": "3"}
    said = output([sys.executable, "-c", code], shell, _COMPD_COMPLETE="complete_bash", **words)
    assert said.split() == ["linf", "l2", "heavy", "set()"]


def test_the_values_are_those_of_the_library() -> None:
    from compd.cli.fuzz import _ACCURACY
    from compd.compress import COMPRESSIONS
    from compd.compress.int8 import ENGINES
    from compd.corpus.subset import KEEP
    from compd.data.resize import KINDS
    from compd.exporting import TARGETS
    from compd.gating.policy import KNOWN_BY
    from compd.models.zoo import ZOO
    from compd.repairing import METHODS
    from compd.runtimes.formats import LAYOUTS
    from compd.runtimes.openers import KERNELS
    from compd.search import STRATEGIES
    from compd.search.bounds import NORMS
    from compd.search.settings import GOALS
    from compd.search.strategies.compd import COVERAGES
    from compd.training import TRAINING_STRATEGIES

    library = {
        "--accuracy": _ACCURACY,
        "--compress": COMPRESSIONS,
        "--coverage": COVERAGES,
        "--engine": (*ENGINES, *KERNELS),
        "--goal": GOALS,
        "--known-by": KNOWN_BY,
        "--layout": LAYOUTS,
        "--method": METHODS,
        "--model": ZOO,
        "--norm": NORMS,
        "--resize": KINDS,
        "--strategy": STRATEGIES,
        "--student": ZOO,
        "--to": TARGETS,
        "minimise --keep": KEEP,
        "train --strategy": TRAINING_STRATEGIES,
    }
    for option, names in library.items():
        assert set(VALUES[option]) == set(names), option
    assert VALUES.keys() - library == {"--output", "fuzz --keep"}


def test_what_can_be_anything_is_not_completed() -> None:
    assert completing("fuzz", "--seeds") is None
    keep = completing("fuzz", "--keep")
    assert keep is not None
    assert keep("v") == ["valid"]
