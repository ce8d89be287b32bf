"""The corpus on disk: an ImageFolder with ``metadata.jsonl``, content-addressed and append-only.

A write is: the PNGs to temporary files, synced, renamed; then the lines appended and synced. So a
line never names a picture that is not there, and a crash can at worst leave a torn last line
(dropped when the corpus is opened) or a picture without a line (harmless, and used again).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from compd.corpus.records import Record, image_file, seed_file
from compd.errors import CompdError, CompdWarning
from compd.images import decode_png, encode_png, pixel_hash
from compd.storage import disk_errors, write_all

try:
    import fcntl
except (
    ImportError
):  # Windows has no advisory locks of this kind; a second writer is the user's care
    fcntl = None  # type: ignore[assignment]

__all__ = ["Corpus"]

_METADATA = "metadata.jsonl"
_TOGETHER = 128  # pictures in one write: each is an open file until then


class Corpus:
    """Stored candidates, in the order in which they were added.

    Args:
        directory: where it lies.
        create: make it if it is not there.

    Raises:
        CompdError: if it is not there, is no corpus, or a line in it is broken.
    """

    def __init__(self, directory: Path | str, *, create: bool = False) -> None:
        self.directory = Path(directory)
        self._metadata = self.directory / _METADATA
        if create:
            with disk_errors(self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
                others = (path for path in self.directory.iterdir() if path.name[0] != ".")
                if not self._metadata.exists() and any(others):
                    raise CompdError(
                        f"expected a new folder or a corpus, got corpus={str(directory)!r}, which "
                        "holds other files; name another one"
                    )
                self._metadata.touch()
        elif not self._metadata.is_file():
            raise CompdError(
                f"expected a corpus (a folder with {_METADATA}), got corpus={str(directory)!r}; "
                "fill one with: compd fuzz --corpus DIR"
            )
        self._records: dict[str, Record] = {}
        self._pictures: set[str] = set()  # written, or found to be right, by this object
        self._lines = 0
        self._end = 0  # bytes of whole lines
        self._torn = b""  # what follows them
        with disk_errors(self._metadata):
            self._read()

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
            raise CompdError(
                f"expected the start of one entry's hash, got {prefix!r}, which fits {len(hits)} "
                f"of {len(self)} entries; see: compd corpus list"
            )
        return hits[0]

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
        new: dict[str, Record] = {}
        pictures: dict[str, Tensor] = {}
        with disk_errors(self.directory), self._locked() as file:
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
                path, data = self.directory / name, encode_png(image)
                if not path.exists() or path.read_bytes() != data:
                    files[path] = data
        waiting = list(files.items())
        for start in range(0, len(waiting), _TOGETHER):
            write_all(dict(waiting[start : start + _TOGETHER]))
        self._pictures |= pictures.keys()

    def _append(self, file: Any, records: Sequence[Record]) -> None:
        file.truncate(self._end)  # a torn line that a crash left behind
        file.seek(self._end)
        data = "".join(record.to_line() + "\n" for record in records).encode()
        try:
            rest = memoryview(data)
            while rest:  # a disk with little space left takes a part, and only then complains
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(self._end)  # half a line is worse than none
            raise
        self._lines += len(records)
        self._end += len(data)
        self._torn = b""

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        """Open the metadata for writing; one process at a time."""
        with self._metadata.open("r+b", buffering=0) as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise CompdError(
                        f"expected to be the only writer of corpus={str(self.directory)!r}, got "
                        "another process writing to it; wait for it, or name another folder"
                    ) from error
            size = os.fstat(file.fileno()).st_size
            if size < self._end:
                raise CompdError(
                    f"expected {self._metadata} to grow only, got {size} bytes where there were "
                    f"{self._end}; something else changed it, so open the corpus again"
                )
            if size > self._end:
                self._read()  # another process has added lines since
            yield file

    def _read(self) -> None:
        data = self._metadata.read_bytes()[self._end :]
        whole, newline, torn = data.rpartition(b"\n")
        lines = whole.split(b"\n") if newline else []
        for number, line in enumerate(lines, start=self._lines + 1):
            try:
                record = Record.from_line(line.decode())
            except (CompdError, UnicodeDecodeError) as error:
                raise CompdError(
                    f"{error}: {self._metadata} line {number}; remove that line"
                ) from error
            self._records.setdefault(record.sha256, record)
        if torn and torn != self._torn:  # told once
            warnings.warn(
                f"dropped a torn last line of {self._metadata} (a writer was killed); "
                "all lines before it are whole",
                CompdWarning,
                stacklevel=3,
            )
        self._lines += len(lines)
        self._end += len(whole) + len(newline)
        self._torn = torn

    def _picture(self, name: str, sha256: str) -> Tensor:
        path = self.directory / name
        try:
            image = decode_png(path.read_bytes())
        except FileNotFoundError as error:
            raise CompdError(f"expected {name} in {str(self.directory)!r}, got no file") from error
        except OSError as error:
            raise CompdError(f"expected to read {path}, got: {error.strerror}") from error
        except CompdError as error:
            raise CompdError(f"{error}: {path}") from error
        if pixel_hash(image) != sha256:
            raise CompdError(
                f"expected pixels with the hash in the name, got others: {path}; it was changed"
            )
        return image
