"""The baseline: the deviations of a corpus that a team has accepted, each with its reason.

A text file with one line a deviation, sorted by hash, and nothing else in it: no times, totals or
positions. So what two people accept on two branches merges line by line (a corpus's
``.gitattributes`` asks git for the union of both), and the same decisions give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from compd.corpus import Record
from compd.errors import InputError, SettingError
from compd.files.outputs import write_output
from compd.files.reading import inside, read_whole
from compd.text import one_line

__all__ = ["Accepted", "Baseline", "baseline_of"]

_NAME = "baseline.txt"
_FIELDS = "sha256, flip, severity, reason"
_HASH = re.compile(r"[0-9a-f]{64}")
_SEVERITY = re.compile(r"[01]\.\d\d")
_LONGEST = 2000  # characters of a line
_LARGEST = 64 << 20  # bytes of a file


@dataclass(frozen=True)
class Accepted:
    """One accepted deviation."""

    sha256: str  # of the image's pixels
    flip: str  # as it was when it was accepted: "cat → dog"
    severity: float  # then, rounded to two digits
    reason: str

    @classmethod
    def of(cls, record: Record, reason: str) -> Accepted:
        """Accept a record as it is.

        Raises:
            CompdError: if no reason is given.
        """
        said = one_line(reason)
        if not said:
            raise SettingError("a reason to accept a deviation", reason=reason)
        line = cls(record.sha256, one_line(record.flip), round(record.severity, 2), said)
        if len(line.to_line()) > _LONGEST:
            raise InputError(
                f"expected a reason that fits a line of {_LONGEST} characters, got {len(said)}"
            )
        return line

    def to_line(self) -> str:
        """As one line, without the line break."""
        return f"{self.sha256}\t{self.flip}\t{self.severity:.2f}\t{self.reason}"

    @classmethod
    def from_line(cls, line: str) -> Accepted:
        """The inverse of :meth:`to_line`.

        Raises:
            ValueError: if the line is not such a line; says why.
        """
        if len(line) > _LONGEST:
            raise ValueError(f"expected at most {_LONGEST} characters, got {len(line)}")
        parts = line.split("\t")
        if len(parts) != 4:
            raise ValueError(f"expected {_FIELDS} with tabs between, got {len(parts)} fields")
        sha256, flip, severity, reason = parts
        if not _HASH.fullmatch(sha256):
            raise ValueError(f"expected a SHA-256 of 64 hex digits, got {sha256!r:.80}")
        if not _SEVERITY.fullmatch(severity) or float(severity) > 1:
            raise ValueError(f"expected a severity in 0.00..1.00, got {severity!r:.40}")
        if flip != one_line(flip) or reason != one_line(reason) or not flip or not reason:
            raise ValueError("expected a flip and a reason of printable text")
        return cls(sha256, flip, float(severity), reason)


class Baseline(Mapping[str, Accepted]):
    """Accepted deviations by hash."""

    def __init__(self, accepted: Iterable[Accepted] = ()) -> None:
        self._accepted = {one.sha256: one for one in sorted(accepted, key=lambda one: one.sha256)}

    def __getitem__(self, sha256: str) -> Accepted:
        return self._accepted[sha256]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accepted)

    def __len__(self) -> int:
        return len(self._accepted)

    def accepting(self, more: Iterable[Accepted]) -> Baseline:
        """With more of them; one that is there already gets the new line."""
        return Baseline([*self.values(), *more])

    def without(self, hashes: Iterable[str]) -> Baseline:
        """Without some of them."""
        gone = set(hashes)
        return Baseline(one for one in self.values() if one.sha256 not in gone)

    def to_bytes(self) -> bytes:
        """The file: the same bytes for the same decisions, whatever their order."""
        return "".join(one.to_line() + "\n" for one in self.values()).encode()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Baseline:
        """Read a file's content.

        Lines may come in any order, as a merge leaves them, and a line may be there twice.

        Raises:
            CompdError: if a line is broken, or two lines say different things of one deviation.
        """
        found: dict[str, Accepted] = {}
        for number, raw in enumerate(data.split(b"\n"), start=1):
            raw = raw.removesuffix(b"\r")  # a checkout on Windows
            if not raw:
                continue
            try:
                one = Accepted.from_line(raw.decode())
            except ValueError as error:  # bytes that are no UTF-8 are among these
                raise InputError(
                    f"{one_line(str(error))}: {where} line {number}; mend or remove that line"
                ) from error
            if found.setdefault(one.sha256, one) != one:
                raise InputError(
                    f"expected one line for {one.sha256[:12]}, got two that differ: {where} line "
                    f"{number}; keep the one that holds"
                )
        return cls(found.values())

    @classmethod
    def load(cls, path: Path, *, missing: bool = True) -> Baseline:
        """Read a file.

        Args:
            path: of the file.
            missing: whether it may be missing, and is an empty baseline then.

        Raises:
            CompdError: if it cannot be read.
        """
        try:
            data = read_whole(path, _LARGEST)
        except FileNotFoundError as error:
            if missing:
                return cls()
            raise InputError(
                f"expected a baseline, got baseline={str(path)!r} (no such file); make it with: "
                "compd baseline accept"
            ) from error
        except OSError as error:
            raise InputError(f"expected to read {str(path)!r}, got: {error.strerror}") from error
        return cls.parse(data, str(path))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_output(path, self.to_bytes())


def baseline_of(corpus: Path) -> Path:
    """Where a corpus's own baseline lies, there or not.

    Raises:
        CompdError: if it is a link that leads out of the corpus's folder.
    """
    return inside(corpus, _NAME)
