"""``--quiet``: no progress and nothing for people, but errors, warnings and what was asked for."""

from __future__ import annotations

import io
import sys
from typing import TextIO

import typer

__all__ = ["be_quiet", "is_quiet", "print_anyway", "print_to_errors"]


class _Nowhere(io.TextIOBase):
    """Takes the place of standard output, and drops what is printed there.

    Args:
        real: what it takes the place of.
    """

    encoding = "utf-8"

    def __init__(self, real: TextIO) -> None:
        self.real = real

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)

    def fileno(self) -> int:
        """That of the real one."""
        return self.real.fileno()


def be_quiet() -> None:
    """Print nothing for people from here on, until the command ends."""
    if not is_quiet():
        sys.stdout.flush()
        sys.stdout = _Nowhere(sys.stdout)


def is_quiet() -> bool:
    """Whether nothing is printed for people."""
    return isinstance(sys.stdout, _Nowhere)


def print_to_errors() -> None:
    """Let what is printed go to standard error, because a result goes to standard output."""
    sys.stdout.flush()
    if isinstance(sys.stdout, _Nowhere):
        sys.stdout.real = sys.stderr
    else:
        sys.stdout = sys.stderr


def print_anyway(text: str) -> None:
    """Print a line that is for programs, quiet or not."""
    typer.echo(text, file=sys.stdout.real if isinstance(sys.stdout, _Nowhere) else None)
