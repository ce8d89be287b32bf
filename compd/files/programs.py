"""A program that is named in a model's place: ``cmd: ./run_on_board --port /dev/ttyUSB0``.

Nothing here imports torch: a program that is not there is told at once.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from compd.errors import InputError, SettingError

__all__ = ["Program", "names_program", "source_of"]

_PREFIX = "cmd:"


@dataclass(frozen=True)
class Program:
    """A program, as it was typed, and where it is started.

    Args:
        words: of the command; no shell reads them.
        folder: that it is started in, and that relative paths among its words are of.
    """

    words: tuple[str, ...]
    folder: Path

    @classmethod
    def of(cls, text: str, folder: Path | None = None) -> Program:
        """Split ``cmd: …`` into words, as a shell would.

        Args:
            text: as it was typed.
            folder: None for the working folder.

        Raises:
            SettingError: if a quotation is left open, or no word is left.
        """
        try:
            words = shlex.split(text.removeprefix(_PREFIX))
        except ValueError as error:
            raise SettingError(
                f"expected a command such as 'cmd: ./run_on_board', got {text!r} ({error})"
            ) from error
        if not words or any("\0" in word for word in words):
            raise SettingError(
                f"expected a command such as 'cmd: ./run_on_board', got {text!r} without a program"
            )
        first = str(Path(words[0]).expanduser()) if words[0].startswith("~") else words[0]
        return cls((first, *words[1:]), (folder or Path()).absolute())

    @property
    def name(self) -> str:
        """For people and records, which carry no paths: ``cmd: run_on_board``."""
        return f"{_PREFIX} {Path(self.words[0]).name.lstrip('.').partition('.')[0] or 'program'}"

    @property
    def files(self) -> tuple[Path, ...]:
        """The words that are files: the program, a script, a model."""
        found = (self.folder / word for word in self.words)
        return tuple(path for path in found if path.is_file())

    def check(self) -> None:
        """Raise unless there is such a program.

        Raises:
            InputError: then.
        """
        first = self.words[0]
        named = str(self.folder / first) if Path(first).name != first else first
        if shutil.which(named) is None:
            where = "on the PATH" if named == first else "or it is not executable"
            raise InputError(
                f"expected a program that can be started, got {shlex.join(self.words)!r} (there is "
                f"no {first!r} {where})"
            )


def names_program(text: str) -> bool:
    """Whether a text names a program, and no file."""
    return text.startswith(_PREFIX)


def source_of(text: str | Path, folder: Path | None = None) -> Path | Program:
    """The file or the program that a text names.

    Args:
        text: as it was typed.
        folder: that a program is started in; None for the working folder.

    Raises:
        SettingError: as of :meth:`Program.of`.
    """
    if isinstance(text, str) and names_program(text):
        return Program.of(text, folder)
    return Path(text)
