"""Commands in processes of their own, as a shell runs them, without a start of seconds for each.

Two of the three seconds of a small command are the import of PyTorch and the like. Here one process
has imported those, and nothing of compd; each command is a fork of it.
"""

from __future__ import annotations

import multiprocessing
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["run_command"]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["torch", "torch.ao.quantization.quantize_fx", "scipy.stats"])


def run_command(
    line: str, folder: Path, environment: Mapping[str, str], *, fork: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run ``compd ...``, or another command, in a folder.

    Args:
        line: the command, as it is typed.
        folder: the working folder.
        environment: all of its variables.
        fork: ``False`` starts the installed script, as a shell does.
    """
    name, *words = shlex.split(line)
    if name != "compd" or not fork:
        return subprocess.run(
            [name, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    told = [folder.parent / f"{os.getpid()}.{stream}" for stream in ("out", "err")]
    process = _FORKS.Process(target=_compd, args=(words, folder, dict(environment), told))
    process.start()
    process.join()
    assert process.exitcode is not None
    return subprocess.CompletedProcess(
        [name, *words], process.exitcode, *(path.read_text(encoding="utf-8") for path in told)
    )


def _compd(words: list[str], folder: Path, environment: dict[str, str], told: list[Path]) -> None:
    """In the fork: what the script ``compd`` does."""
    for number, path in enumerate(told, 1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["compd", *words]
    from compd.cli import main

    main()
