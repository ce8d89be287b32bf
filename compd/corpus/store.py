"""The corpus on disk: an ImageFolder with ``metadata.jsonl``, content-addressed and append-only.

A write is: the PNGs to temporary files, synced, renamed; then the lines appended and synced. So a
line never names a picture that is not there, and a crash can at worst leave a torn last line
(dropped when the corpus is opened) or a picture without a line (harmless, and used again).

A corpus may come from a stranger. Nothing outside of its folder is read or written, whatever links
are in it; only regular files are opened; and what is too large to be honest is refused.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from compd.corpus.lines import LONGEST_LINE, MOST_LINES, lines_of
from compd.corpus.place import METADATA, check_place, make_place, new_place
from compd.corpus.records import Record, image_file, seed_file
from compd.corpus.shared import Shared
from compd.errors import CompdError, CompdWarning, InputError
from compd.files.reading import inside, open_file, read_whole
from compd.files.storage import disk_errors, write_all
from compd.images import decode_png, encode_png, pixel_hash
from compd.text import shortened
from compd.wording import command

try:
    import fcntl
except (
    ImportError
):  # Windows has no advisory locks of this kind; a second writer is the user's care
    fcntl = None  # type: ignore[assignment]

__all__ = ["MOST_PIXELS", "Corpus"]

_TOGETHER = 128  # pictures in one write: each is an open file until then
MOST_PIXELS = 1 << 24  # of a picture: 4096 x 4096, the largest that a pair may take
_MOST_BYTES = 1 << 26  # of its file: all these pixels, packed not at all
MOST_MEMORY = 768 << 20  # bytes that the records may take, as far as that can be told


class Corpus:
    """Stored candidates, in the order in which they were added.

    Args:
        directory: where it lies.
        create: it need not be there yet; its folder is made when it gets its first entry, or by
            :meth:`make`.
        most_lines: entries that are read.
        most_memory: bytes that they may take, as far as that can be told.

    Raises:
        CompdError: if it is not there, is no corpus, a line in it is broken, or it is too large;
            with ``create`` also if it could not be made there.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        create: bool = False,
        most_lines: int = MOST_LINES,
        most_memory: int = MOST_MEMORY,
    ) -> None:
        self._most_lines, self._most_memory = most_lines, most_memory
        self.directory = Path(directory)
        self._metadata = inside(self.directory, METADATA)
        with disk_errors(self.directory):
            there = self._metadata.exists()
            if create and not there:
                check_place(self.directory)
        if not create and not self._metadata.is_file():
            raise InputError(
                f"expected a corpus (a folder with {METADATA}), got corpus={str(directory)!r}; "
                f"fill one with: {command('fuzz', corpus='DIR')}"
            )
        self._records: dict[str, Record] = {}
        self._numbers: dict[str, int] = {}  # of their lines, from 1
        self._shared = Shared()  # what they have in common
        self._pictures: set[str] = set()  # written, or found to be right, by this object
        self._lines = 0
        self._end = 0  # bytes of whole lines
        self._torn = b""  # what follows them
        if there:
            with disk_errors(self._metadata):
                self._read()

    @staticmethod
    def check(directory: Path | str) -> None:
        """Raise before the work starts if its findings could not be stored there; write nothing.

        Raises:
            CompdError: if the path is a file, holds other files or a broken corpus, or is in a
                place that cannot be written.
        """
        Corpus(directory, create=True)

    def make(self) -> None:
        """Make the folder now if it is not there, so that a finished search has a corpus to show.

        Raises:
            CompdError: if the disk is full or cannot be written.
        """
        with disk_errors(self.directory):
            make_place(self.directory)

    def __repr__(self) -> str:
        where = str(self.directory)
        where = where if len(where) < 90 else f"…{where[-89:]}"  # its end tells more
        return shortened(f"Corpus({where!r}, {len(self)} entries)")

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records.values()))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._records

    def find(self, prefix: str) -> Record:
        """The record whose hash starts with ``prefix``.

        Raises:
            CompdError: if none or several do.
        """
        hits = [record for key, record in self._records.items() if key.startswith(prefix)]
        if len(hits) != 1:
            raise InputError(
                f"expected the start of one entry's hash, got {prefix!r}, which fits {len(hits)} "
                f"of {len(self)} entries; see: compd corpus list"
            )
        return hits[0]

    def by_severity(self) -> list[Record]:
        """The records, the most severe first."""
        return sorted(self, key=lambda record: (-record.severity, record.sha256))

    def line(self, record: Record) -> int:
        """Where a record stands in ``metadata.jsonl``: its line, from 1."""
        return self._numbers[record.sha256]

    def image(self, record: Record) -> Tensor:
        """The stored picture, uint8 (C, H, W).

        Raises:
            CompdError: if it is missing, corrupt, or its pixels are not those of its name.
        """
        return self._picture(image_file(record.sha256), record.sha256)

    def seed_image(self, record: Record) -> Tensor:
        """The picture that the search started from, uint8 (C, H, W)."""
        return self._picture(seed_file(record.seed_sha256), record.seed_sha256)

    def add(self, entries: Iterable[tuple[Record, Tensor, Tensor]]) -> int:
        """Store records with their images and seed images; on return they are on the disk.

        Args:
            entries: (record, uint8 (C, H, W) image, uint8 (C, H, W) seed image).

        Returns:
            How many were new; what is stored already is passed over.

        Raises:
            CompdError: if the disk is full or cannot be written, or another process is writing.
        """
        waiting = iter(entries)
        first = next(waiting, None)
        if first is None and not self._metadata.exists():
            return 0
        entries = waiting if first is None else chain([first], waiting)
        with disk_errors(self.directory), new_place(self.directory):
            return self._add(entries)

    def _add(self, entries: Iterable[tuple[Record, Tensor, Tensor]]) -> int:
        new: dict[str, Record] = {}
        pictures: dict[str, Tensor] = {}
        with self._locked() as file:
            for record, image, seed in entries:
                if record.sha256 in self._records or record.sha256 in new:
                    continue
                pictures[image_file(record.sha256)] = image
                pictures[seed_file(record.seed_sha256)] = seed
                new[record.sha256] = record
            self._write_pictures(pictures)
            if new:
                self._append(file, list(new.values()))
        self._records |= new
        return len(new)

    def _write_pictures(self, pictures: Mapping[str, Tensor]) -> None:
        """Write those that are not there yet, or not whole."""
        files: dict[Path, bytes] = {}
        for name, image in pictures.items():
            if name not in self._pictures:
                path, data = inside(self.directory, name), encode_png(image)
                if image[0].numel() > MOST_PIXELS or len(data) > _MOST_BYTES:
                    raise InputError(
                        f"expected pictures of at most {MOST_PIXELS} pixels in a corpus, got "
                        f"{tuple(image.shape)}"
                    )
                if not path.exists() or read_whole(path, _MOST_BYTES) != data:
                    files[path] = data
        waiting = list(files.items())
        for start in range(0, len(waiting), _TOGETHER):
            write_all(dict(waiting[start : start + _TOGETHER]))
        self._pictures |= pictures.keys()

    def _append(self, file: Any, records: Sequence[Record]) -> None:
        lines = [record.to_line().encode() + b"\n" for record in records]
        if max(map(len, lines)) > LONGEST_LINE:
            raise InputError(
                f"expected lines of at most {LONGEST_LINE} bytes, got one of "
                f"{max(map(len, lines))}: {self._metadata}; are the names of the classes too long?"
            )
        file.truncate(self._end)  # a torn line that a crash left behind
        file.seek(self._end)
        data = b"".join(lines)
        try:
            rest = memoryview(data)
            while rest:  # a disk with little space left takes a part, and only then complains
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(self._end)  # half a line is worse than none
            raise
        for record in records:
            self._lines += 1
            self._numbers[record.sha256] = self._lines
        self._end += len(data)
        self._torn = b""

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        """Open the metadata for writing; one process at a time."""
        with open_file(inside(self.directory, METADATA), write=True) as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise InputError(
                        f"expected to be the only writer of corpus={str(self.directory)!r}, got "
                        "another process writing to it; wait for it, or name another folder"
                    ) from error
            size = os.fstat(file.fileno()).st_size
            if size < self._end:
                raise InputError(
                    f"expected {self._metadata} to grow only, got {size} bytes where there were "
                    f"{self._end}; something else changed it, so open the corpus again"
                )
            if size > self._end:
                self._read()  # another process has added lines since
            yield file

    def _read(self) -> None:
        number, end, torn = self._lines, self._end, b""
        with open_file(inside(self.directory, METADATA)) as file:
            lines = lines_of(file, self._metadata, start=end, before=number, most=self._most_lines)
            for line in lines:
                if not line.endswith(b"\n"):
                    torn = line
                    break
                number, end = number + 1, end + len(line)
                self._take(line[:-1], number)
        if torn and torn != self._torn:  # told once
            warnings.warn(
                f"dropped a torn last line of {self._metadata} (a writer was killed); "
                "all lines before it are whole",
                CompdWarning,
                stacklevel=3,
            )
        self._lines, self._end, self._torn = number, end, torn

    def _take(self, line: bytes, number: int) -> None:
        try:
            record = Record.from_line(line.decode(), self._shared)
        except (CompdError, UnicodeDecodeError) as error:
            raise InputError(
                f"{error}: {self._metadata} line {number}; remove that line"
            ) from error
        self._records.setdefault(record.sha256, record)
        self._numbers.setdefault(record.sha256, number)
        if self._shared.size > self._most_memory:
            raise InputError(
                f"expected a corpus that fits into {self._most_memory >> 20} MiB of memory, got a "
                f"larger one: {self._metadata} line {number}; split it before that line"
            )

    def _picture(self, name: str, sha256: str) -> Tensor:
        path = inside(self.directory, name)
        try:
            image = decode_png(read_whole(path, _MOST_BYTES), most_pixels=MOST_PIXELS)
        except FileNotFoundError as error:
            raise InputError(f"expected {name} in {str(self.directory)!r}, got no file") from error
        except OSError as error:
            raise InputError(f"expected to read {path}, got: {error.strerror}") from error
        except CompdError as error:
            where = "" if str(path) in str(error) else f": {path}"
            raise InputError(f"{error}{where}") from error
        if pixel_hash(image) != sha256:
            raise InputError(
                f"expected pixels with the hash in the name, got others: {path}; it was changed"
            )
        return image
