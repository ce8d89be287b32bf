"""Decoding many image files to one batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.data.resize import Resize
from compd.errors import InputError
from compd.images import read_image
from compd.sizes import Size
from compd.system.machine import cpu_count
from compd.wording import setting

__all__ = ["Decoded", "decode_all"]


@dataclass(frozen=True)
class Decoded:
    """Image files as a batch."""

    images: Tensor  # uint8 (N, C, H, W)
    stretched: Tensor  # bool (N,): of another aspect ratio, and nobody said how to scale them


def decode_all(
    files: Sequence[bytes],
    names: Sequence[str],
    *,
    channels: int,
    size: Size | None,
    resize: Resize | None = None,
) -> Decoded:
    """Decode image files to one uint8 batch.

    Args:
        files: the bytes of each file.
        names: their names, for errors.
        channels: 3 for RGB, 1 for grey.
        size: scale to this height and width; None demands one size.
        resize: how; None stretches them, and notes whose shape that changes.
    """
    chunk = 64  # handing over single images costs more than decoding them

    stretched = torch.zeros(len(files), dtype=torch.bool)

    def decode(i: int) -> Tensor:
        image = read_image(files[i], names[i], channels=channels)
        if size is None:
            return image
        stretched[i] = resize is None and _changes_shape(image, *size)
        return (resize or Resize())(image, *size, names[i])

    if not files:
        raise InputError("expected at least one image, got none")
    first = decode(0)
    try:
        images = torch.empty(len(files), *first.shape, dtype=torch.uint8)
    except RuntimeError as error:  # of torch's allocator
        raise InputError(
            f"expected images that fit into memory, got {len(files)} of "
            f"{_size(first)} (height x width; {names[0]} and more); pass {setting('size')} to "
            "scale them"
        ) from error

    def fill(start: int) -> None:
        for i in range(start, min(start + chunk, len(files))):
            image = decode(i)
            if image.shape != first.shape:
                raise InputError(
                    f"expected images of one size, got {_size(first)} ({names[0]}) and "
                    f"{_size(image)} ({names[i]}; height x width); resize them, or pass "
                    f"{setting('size')}"
                )
            images[i] = image

    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(fill, range(0, len(files), chunk)))
    return Decoded(images, stretched)


def _changes_shape(image: Tensor, height: int, width: int) -> bool:
    """Whether stretching an image moves an edge by a pixel or more, next to scaling it evenly."""
    _, h, w = image.shape
    return round(height * w / h) != width and round(width * h / w) != height


def _size(image: Tensor) -> str:
    return Size(*image.shape[1:]).sides
