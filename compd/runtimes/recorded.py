"""Outputs that were recorded on a device that we cannot reach.

A table as JSON lines, one object an image: ``{"sha256": "…", "logits": [0.1, …]}``, where
``sha256`` is that of the image's pixels, as ``compd export-inputs`` lists it. The first line may
say what the others are: ``{"output": "probs", "device": "…"}``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compd.errors import InputError, brief
from compd.runtimes.batching import Batching
from compd.runtimes.formats import InputFormat, Overrides
from compd.runtimes.openers import Opened, sha256_of
from compd.runtimes.outputs import OUTPUTS
from compd.sizes import Size
from compd.text import printable

__all__ = ["open_model", "read_table"]

_TOLD = 64  # answers by which it is told what they are
_HEX = frozenset("0123456789abcdef")
_MOST_CLASSES = 1 << 17
_LONGEST_LINE = 1 << 22  # characters
_MOST_NUMBERS = 1 << 27  # of the whole table: half a gigabyte
_MOST_FACTS = 64  # of the first line
_ROW = 100  # numbers that a line takes the memory of, beside its own


def open_model(path: Path, overrides: Overrides, size: Size | None, optimise: bool) -> Opened:
    """Read a table of recorded outputs."""
    del optimise
    table, header = read_table(path)
    classes = len(next(iter(table.values())))

    def look_up(images: NDArray[Any]) -> NDArray[Any]:
        keys = [hashlib.sha256(x.transpose(1, 2, 0).tobytes()).hexdigest() for x in images]
        missing = [key for key in keys if key not in table]
        if missing:
            raise InputError(
                f"expected images whose outputs are recorded in {path.name!r}, got {len(missing)} "
                f"of {len(keys)} others, the first with sha256 {missing[0][:16]}…; write them for "
                "the device: compd export-inputs with --corpus, or with --shifts for a study of "
                "the same --severities and --images"
            )
        return np.stack([table[key] for key in keys]) if keys else np.empty((0, classes))

    return Opened(
        engine=f"recorded-{header['device']}" if "device" in header else "recorded",
        format=InputFormat(
            channels=3,
            height=size.height if size else 0,
            width=size.width if size else 0,
            classes=max(2, classes),
            dtype="uint8",
            range=(0.0, 255.0),
            output=header.get("output", "logits"),
            single=classes == 1,
        ),
        call=look_up,
        content_hash=sha256_of(path),
        facts={"recorded": len(table), **header},
        census={},
        can_be_plain=False,
        batching=Batching.ANY,
        answers=torch.from_numpy(np.stack([*table.values()][:_TOLD])),
        said=Overrides(output=header.get("output")),
    )


def read_table(path: Path) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Read recorded outputs.

    Returns:
        Pixel hash -> float32 (K,), and what the first line says of them.

    Raises:
        CompdError: names the line that is not what it should be.
    """
    table: dict[str, NDArray[np.float32]] = {}
    header: dict[str, str] = {}
    numbers = 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        number = 0
        while line := lines.readline(_LONGEST_LINE):
            number += 1
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if number == 1 and "sha256" not in entry:
                    header = {
                        printable(key[:80]): printable(str(value)[:80])
                        for key, value in entry.items()
                    }
                    if len(header) > _MOST_FACTS:
                        raise ValueError(f"{len(header)} facts")
                    if header.get("output", "logits") not in OUTPUTS:
                        raise ValueError(f"output={header['output']!r}")
                    continue
                key = str(entry["sha256"]).lower()
                if not isinstance(entry["logits"], list):
                    raise TypeError("logits are no list")
                logits = np.array([float(v) for v in entry["logits"]], np.float32)
                if not np.isfinite(logits).all():
                    raise ValueError("logits that are not finite")
                if len(key) != 64 or not _HEX.issuperset(key):
                    raise ValueError(f"sha256={key[:70]!r}")
                if not 1 <= len(logits) <= _MOST_CLASSES:
                    raise ValueError(f"{len(logits)} logits")
                if table and len(logits) != len(next(iter(table.values()))):
                    raise ValueError(f"{len(logits)} logits, another number than before")
            except (
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
                OverflowError,
                RecursionError,
            ) as error:
                what = f"{type(error).__name__}: {brief(error, 80)}"
                raise InputError(
                    'expected lines {"sha256": …, "logits": […]} of recorded outputs, got '
                    f"something else in line {number} of {str(path)!r} ({what})"
                ) from error
            table[key] = logits
            numbers += len(logits) + _ROW
            if numbers > _MOST_NUMBERS:
                raise InputError(
                    f"expected recorded outputs that fit into {_MOST_NUMBERS >> 18} MiB of memory, "
                    f"got more: {str(path)!r} line {number}; split the file before that line"
                )
    if not table:
        raise InputError(f"expected recorded outputs, got none in {str(path)!r}")
    return table, header
