"""Data sets by Hugging Face name, through the ``datasets`` package (extra ``hf``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from compd.data.dataset import Dataset, Part, part_of
from compd.data.decode import Decoded, decode_all
from compd.data.parquet import IMAGE_COLUMNS
from compd.data.resize import Resize, marked
from compd.errors import InputError, brief, require_extra
from compd.sizes import Size
from compd.system.quiet import unlogged

__all__ = ["from_hub"]


def from_hub(
    name: str, *, channels: int = 3, size: Size | None = None, resize: Resize | None = None
) -> Dataset:
    """Load ``name`` (or a local path that ``datasets.load_dataset`` understands).

    Raises:
        CompdError: if the package is missing, the name cannot be loaded, or columns are missing.
    """
    datasets = require_extra("datasets", "hf")
    try:
        with unlogged():
            loaded = datasets.load_dataset(name)
    except Exception as error:  # the package raises many kinds, network ones among them
        raise InputError(
            f"expected a file, a folder or a Hugging Face dataset, got data={name!r} "
            f"({type(error).__name__}: {brief(error, 120)})"
        ) from error
    test = next((key for key in ("test", "validation") if key in loaded), None)
    groups = {"train": loaded["train" if "train" in loaded else next(iter(loaded))]}
    if test is not None and "train" in loaded:
        groups["test"] = loaded[test]
    features = groups["train"].features
    image = next((column for column in IMAGE_COLUMNS if column in features), None)
    if image is None or "label" not in features:
        raise InputError(
            f"expected the columns 'img' or 'image' and 'label', got "
            f"{', '.join(map(repr, features))} in data={name!r}"
        )
    classes = tuple(getattr(features["label"], "names", None) or ())
    if not classes:
        classes = tuple(str(i) for i in range(max(_labels(groups["train"], name)) + 1))
    identity = "-".join(str(table._fingerprint) for table in groups.values())
    if isinstance(features[image], datasets.Image):  # bytes: one decoder judges all images
        raw = datasets.Image(decode=False)
        groups = {key: table.cast_column(image, raw) for key, table in groups.items()}
    first = _decode([groups["train"][0][image]], name, channels, size, resize)
    found = Size(*first.images.shape[-2:])

    def loader(table: Any) -> Callable[[], Part]:
        def load() -> Part:
            decoded = _decode(list(table[image]), name, channels, size, resize)
            labels = torch.tensor(_labels(table, name))
            return part_of(decoded.images, labels, len(classes), name, stretched=decoded.stretched)

        return load

    return Dataset(
        name=name.rstrip("/").rpartition("/")[2],
        identity=f"{identity}-{channels}-{found}{marked(resize)}",
        classes=classes,
        channels=channels,
        size=found,
        mirror=True,
        resize="" if resize is None else str(resize),
        loaders={key: loader(table) for key, table in groups.items()},
    )


def _labels(table: Any, name: str) -> list[int]:
    labels = list(table["label"])
    if not labels or not all(isinstance(value, int) for value in labels):
        raise InputError(f"expected integer labels in data={name!r}, got {labels[:1]!r}")
    return labels


def _decode(
    values: list[Any], name: str, channels: int, size: Size | None, resize: Resize | None
) -> Decoded:
    names = [f"{name} row {row}" for row in range(len(values))]
    blobs = [_bytes(value, where) for value, where in zip(values, names, strict=True)]
    return decode_all(blobs, names, channels=channels, size=size, resize=resize)


def _bytes(value: Any, where: str) -> bytes:
    """Encoded image of one cell: its bytes, or those of the file that it names."""
    data = value
    if isinstance(value, Mapping):
        data, path = value.get("bytes"), value.get("path")
        if data is None and path is not None and Path(path).is_file():
            data = Path(path).read_bytes()
    if not isinstance(data, bytes):
        raise InputError(f"expected encoded image bytes, got {type(data).__name__} in {where}")
    return data
