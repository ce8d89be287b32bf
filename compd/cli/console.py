"""A console that goes on when nobody reads any more."""

from __future__ import annotations

from rich.console import Console as RichConsole

from compd.cli.interrupt import silence

__all__ = ["Console"]


class Console(RichConsole):
    """Rich's console; where that one would exit with 1, this one prints no more.

    A status of 1 is a verdict of ``gate`` and ``verify``, and not the reader's to give.
    """

    def on_broken_pipe(self) -> None:
        """Be quiet from here on."""
        self.quiet = True
        if not self.stderr:
            silence()
