"""Parquet files in the Hugging Face layout: an image column and an integer label column."""

from __future__ import annotations

import glob
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from compd.data.dataset import Dataset, Part, part_of
from compd.data.decode import decode_all
from compd.data.resize import Resize, marked
from compd.errors import InputError, brief, require_extra
from compd.sizes import Size

__all__ = ["IMAGE_COLUMNS", "parquet_files", "read_parquet"]

IMAGE_COLUMNS = ("img", "image")
_SPLIT_WORDS = {"train", "test", "validation", "valid", "val"}


def parquet_files(spec: str) -> list[Path]:
    """Expand a directory or a glob to its parquet files, sorted."""
    path = Path(spec)
    if path.is_dir():
        return sorted(path.rglob("*.parquet"))
    names = glob.glob(spec, recursive=True)  # noqa: PTH207 (spec may be absolute)
    return sorted(Path(name) for name in names if name.endswith(".parquet"))


def read_parquet(
    files: Sequence[Path],
    name: str,
    *,
    channels: int = 3,
    size: Size | None = None,
    resize: Resize | None = None,
) -> Dataset:
    """Read parquet files; ``train`` and ``test`` are told apart by the file names.

    Raises:
        CompdError: if the columns are missing or of another kind, or a file is corrupt.
    """
    groups = _groups(files)
    classes, found = _describe(groups["train"][0], channels, size, resize)
    digest = hashlib.sha256(f"{channels} {found}{marked(resize)}".encode())
    for group in sorted(groups):
        for file in groups[group]:
            digest.update(f"{group}/{file.name} ".encode())
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return Dataset(
        name=name,
        identity=digest.hexdigest(),
        classes=classes,
        channels=channels,
        size=found,
        mirror=True,
        resize="" if resize is None else str(resize),
        loaders={
            group: partial(_load, tuple(members), len(classes), channels, size, resize)
            for group, members in groups.items()
        },
    )


def _groups(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Training and test files, by the words in their names or, failing these, their folders.

    The layouts are ``train-00000-of-00001.parquet`` and ``train/0000.parquet``.
    """
    found: dict[str, list[Path]] = {}
    for file in files:
        kind = "train"
        for name in (file.parent.name.lower(), file.name.lower()):  # the file's own name decides
            kind = min(_SPLIT_WORDS & set(re.split(r"[^a-z]+", name)), default=kind)
        kind = "validation" if kind.startswith("val") else kind
        found.setdefault(kind, []).append(file)
    test = found.get("test") or found.get("validation")
    if "train" not in found:  # only one split is there: carve everything from it
        return {"train": test or []}
    return {"train": found["train"]} | ({"test": test} if test else {})


@contextmanager
def _open(file: Path) -> Iterator[Any]:
    """Open a parquet file; what fails while it is read is told as a fault of that file."""
    pq = require_extra("pyarrow.parquet", "parquet")
    arrow = require_extra("pyarrow", "parquet")
    try:
        with pq.ParquetFile(file) as table:
            yield table
    except (arrow.ArrowException, OSError) as error:
        raise InputError(
            f"expected a parquet file, got {str(file)!r} ({brief(error, 100)})"
        ) from error


def _columns(file: Path, names: Sequence[str]) -> tuple[str, str]:
    image = next((column for column in IMAGE_COLUMNS if column in names), None)
    if image is None or "label" not in names:
        raise InputError(
            f"expected the columns {' or '.join(map(repr, IMAGE_COLUMNS))} and 'label', got "
            f"{', '.join(map(repr, names))} in {str(file)!r}; rename the columns"
        )
    return image, "label"


def _describe(
    file: Path, channels: int, size: Size | None, resize: Resize | None
) -> tuple[tuple[str, ...], Size]:
    """Class names and image size, from the schema and the first row."""
    with _open(file) as table:
        image, label = _columns(file, table.schema_arrow.names)
        metadata = (table.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
        try:
            names = json.loads(metadata)["info"]["features"][label]["names"]
        except (KeyError, TypeError, ValueError):
            labels = table.read(columns=[label]).column(label).to_pylist()
            if not labels or not all(isinstance(value, int) for value in labels):
                raise InputError(
                    f"expected integer labels in {str(file)!r}, got {labels[:1]!r}"
                ) from None
            names = [str(index) for index in range(max(labels) + 1)]
        first = next(table.iter_batches(batch_size=1, columns=[image]), None)
    if first is None or not first.num_rows:
        raise InputError(f"expected at least one row, got an empty table: {str(file)!r}")
    probe = decode_all(
        [_image_bytes(first.column(0)[0].as_py(), file, 0)],
        [f"{file} row 0"],
        channels=channels,
        size=size,
        resize=resize,
    )
    return tuple(str(name) for name in names), Size(*probe.images.shape[-2:])


def _image_bytes(value: Any, file: Path, row: int) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(data, bytes):
        raise InputError(
            f"expected encoded image bytes, got {type(data).__name__} in {str(file)!r} row {row}; "
            "save the images inside the parquet file"
        )
    return data


def _load(
    files: Sequence[Path], classes: int, channels: int, size: Size | None, resize: Resize | None
) -> Part:
    blobs: list[bytes] = []
    names: list[str] = []
    labels: list[int] = []
    for file in files:
        with _open(file) as table:
            image, label = _columns(file, table.schema_arrow.names)
            content = table.read(columns=[image, label])
        for row, value in enumerate(content.column(image).to_pylist()):
            blobs.append(_image_bytes(value, file, row))
            names.append(f"{file} row {row}")
        labels += content.column(label).to_pylist()
    if not all(isinstance(value, int) for value in labels):
        raise InputError(f"expected integer labels, got other values in {str(files[0])!r}")
    found = decode_all(blobs, names, channels=channels, size=size, resize=resize)
    where = str(files[0].parent)
    return part_of(found.images, torch.tensor(labels), classes, where, stretched=found.stretched)
