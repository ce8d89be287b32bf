"""Images for a device that we cannot reach, and the list by which its outputs come back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from compd.errors import InputError
from compd.files.storage import disk_errors, write_atomic
from compd.images import encode_png, pixel_hash

__all__ = ["LIST", "export_inputs"]

LIST = "inputs.jsonl"


def export_inputs(images: Iterable[Tensor], out: Path) -> int:
    """Write images as PNG files, and ``inputs.jsonl`` with the hash of each one's pixels.

    A program on the device reads the list, runs each file, and writes a line
    ``{"sha256": …, "logits": […]}`` for it; that file is then a runtime (:mod:`compd.runtimes`).

    Args:
        images: uint8 (C, H, W) each; one at a time is in memory.
        out: folder; new, or one that was written so.

    Returns:
        How many different images there are.

    Raises:
        CompdError: if the folder holds other files, or cannot be written.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / LIST).is_file()):
        raise InputError(f"expected a new folder for the images, got out={str(out)!r}")
    lines = {}
    with disk_errors(out):
        (out / "images").mkdir(parents=True, exist_ok=True)
        for image in images:
            sha256 = pixel_hash(image)
            name = f"images/{sha256}.png"
            lines[sha256] = json.dumps({"file_name": name, "sha256": sha256})
            write_atomic(out / name, encode_png(image), sync=False)
        write_atomic(out / LIST, "".join(f"{line}\n" for line in lines.values()).encode())
    return len(lines)
