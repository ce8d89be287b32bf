"""Decoding many image files to one batch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from compd.errors import CompdError
from compd.images import read_image, stack_images
from compd.system.machine import cpu_count

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
    chunk = 256  # handing over single images costs more than decoding them

    def decode(start: int) -> Tensor:
        span = slice(start, start + chunk)
        images = [
            read_image(data, name, channels=channels)
            for data, name in zip(files[span], names[span], strict=True)
        ]
        if size is not None:
            images = [_resize(image, size) for image in images]
        return stack_images(images, names[span])

    with ThreadPoolExecutor(cpu_count()) as pool:
        chunks = list(pool.map(decode, range(0, len(files), chunk)))
    first = [names[start] for start in range(0, len(files), chunk)]
    stack_images([part[0] for part in chunks], first)  # one size across chunks, too
    images = torch.cat(chunks)
    if images.shape[2] != images.shape[3]:
        raise CompdError(
            f"expected square images, got {images.shape[3]}x{images.shape[2]} ({names[0]}); "
            "pass --size to scale them"
        )
    return images


def _resize(image: Tensor, size: int) -> Tensor:
    if image.shape[1:] == (size, size):
        return image
    array = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    buffer = np.array(picture.resize((size, size), Image.Resampling.BILINEAR))
    return torch.from_numpy(buffer.reshape(size, size, -1)).permute(2, 0, 1).contiguous()
