"""Decoding many image files to one batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from compd.errors import InputError
from compd.images import read_image
from compd.system.machine import cpu_count
from compd.wording import setting

__all__ = ["decode_all"]


def decode_all(
    files: Sequence[bytes], names: Sequence[str], *, channels: int, size: int | None
) -> Tensor:
    """Decode image files to one uint8 batch.

    Args:
        files: the bytes of each file.
        names: their names, for errors.
        channels: 3 for RGB, 1 for grey.
        size: scale to this height and width (bilinear); None demands one size, square.

    Returns:
        uint8 (N, C, H, W).
    """
    chunk = 64  # handing over single images costs more than decoding them

    def decode(i: int) -> Tensor:
        image = read_image(files[i], names[i], channels=channels)
        return image if size is None else _resize(image, size)

    if not files:
        raise InputError("expected at least one image, got none")
    first = decode(0)
    try:
        images = torch.empty(len(files), *first.shape, dtype=torch.uint8)
    except RuntimeError as error:  # of torch's allocator
        raise InputError(
            f"expected images that fit into memory, got {len(files)} of "
            f"{_size(first)} ({names[0]} and more); pass {setting('size')} to scale them"
        ) from error

    def fill(start: int) -> None:
        for i in range(start, min(start + chunk, len(files))):
            image = decode(i)
            if image.shape != first.shape:
                raise InputError(
                    f"expected images of one size, got {_size(first)} ({names[0]}) and "
                    f"{_size(image)} ({names[i]}); resize them, or pass {setting('size')}"
                )
            images[i] = image

    with ThreadPoolExecutor(cpu_count()) as pool:
        list(pool.map(fill, range(0, len(files), chunk)))
    if images.shape[2] != images.shape[3]:
        raise InputError(
            f"expected square images, got {images.shape[3]}x{images.shape[2]} ({names[0]}); "
            f"pass {setting('size')} to scale them"
        )
    return images


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"


def _resize(image: Tensor, size: int) -> Tensor:
    if image.shape[1:] == (size, size):
        return image
    array = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    buffer = np.array(picture.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(buffer.reshape(size, size, -1)).permute(2, 0, 1).contiguous()
