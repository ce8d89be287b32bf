"""Where commands put files, and how they find them again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from compd.cli.quiet import is_quiet, print_to_errors
from compd.cli.wording import as_options
from compd.errors import SettingError
from compd.files.outputs import check_output, is_standard_output, write_output
from compd.system import prepare, use_threads

if TYPE_CHECKING:
    from compd.corpus import Corpus
    from compd.pair import Pair

__all__ = [
    "check_folder",
    "check_outputs",
    "default_corpus",
    "default_repaired",
    "find_corpus",
    "prepare_as",
    "write_json",
]

_HOME = Path("compd-corpus")
_REPAIRED = Path("compd-repaired")


def default_corpus(pair: Pair) -> Path:
    """The folder for a pair's findings below the working folder: another pair, another folder."""
    return _HOME / f"{pair.spec.label}-{pair.hashes['deployed'][:6]}"


def default_repaired(pair: Pair, method: str) -> Path:
    """The folder for a repaired pair below the working folder."""
    return _REPAIRED / f"{pair.spec.label}-{pair.hashes['deployed'][:6]}-{method}"


def find_corpus(corpus: Path | None) -> Path:
    """The corpus that was named, or the one below the working folder that was written last.

    Raises:
        CompdError: if none was named and there is none.
    """
    if corpus is not None:
        return corpus
    found = sorted(_HOME.glob("*/metadata.jsonl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise SettingError(f"expected --corpus DIR, or a corpus below {_HOME}/, got none")
    newest = found[-1].parent
    if len(found) > 1 and not is_quiet():
        typer.echo(f"compd: the latest of {len(found)} corpora: --corpus {newest}", err=True)
    return newest


def prepare_as(store: Corpus, threads: int | None) -> None:
    """Compute with as many threads as all entries were found with, unless told otherwise."""
    from compd.corpus.opening import threads_of

    own = threads_of(store) if threads is None else None
    if own is None:
        prepare(threads)
    else:
        use_threads(own)


def check_outputs(**outputs: Path | None) -> None:
    """Raise before the work starts if a result could not be written where it should go.

    Where one goes to standard output, what is said to people goes to standard error.

    Args:
        outputs: name of the option -> what the user gave.

    Raises:
        CompdError: if a path cannot be written, or two results go to standard output.
    """
    given = {name: path for name, path in outputs.items() if path is not None}
    for name, path in given.items():
        check_output(path, name, new_folder=name == "out")
    printed = [f"--{name}" for name, path in given.items() if is_standard_output(path)]
    if len(printed) > 1:
        raise SettingError(
            f"expected one result on standard output, got {' and '.join(printed)}; name a file for "
            "one of them"
        )
    if printed:
        print_to_errors()


def check_folder(path: Path | None) -> None:
    """Raise if a folder to write, the option ``--out``, is said to be standard output.

    Raises:
        CompdError: then.
    """
    if path is not None and is_standard_output(path):
        raise SettingError(f"expected a folder to write, got out={str(path)!r}, standard output")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object as indented JSON."""
    write_output(path, (json.dumps(as_options(content), indent=2) + "\n").encode())
