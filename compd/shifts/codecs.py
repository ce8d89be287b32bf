"""What files and pipelines do to images: lossy codecs, and resizing by another filter."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from PIL import Image

from compd.shifts.base import Batch, Draws, Pixels, Values
from compd.shifts.constants import Row

__all__ = ["RESIZES", "jpeg", "jpeg_compression", "pixelate", "resized", "webp"]

Picture: TypeAlias = Image.Image
_Filter = Image.Resampling

# What the levels of `resize` are: how an image that was enlarged to 8/7 is brought back to size.
RESIZES = ("bilinear", "bicubic", "Lanczos", "box", "nearest", "halved by the JPEG decoder")
_FILTERS = (_Filter.BILINEAR, _Filter.BICUBIC, _Filter.LANCZOS, _Filter.BOX, _Filter.NEAREST)


def jpeg_compression(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """JPEG of CIFAR-10-C: quality c."""
    return _by_pillow(_pixels(x), lambda image: _coded(image, "JPEG", int(row[0]))) / 255.0


def pixelate(x: Values, draws: Draws, row: Row, scale: float) -> Values:
    """Shrink to c of the size by boxes, and enlarge by boxes."""
    (c,) = row

    def coarse(image: Picture) -> Picture:
        small = tuple(max(1, int(n * c)) for n in image.size)
        return image.resize((small[0], small[1]), _Filter.BOX).resize(image.size, _Filter.BOX)

    return _by_pillow(_pixels(x), coarse) / 255.0


def jpeg(batch: Batch) -> Pixels:
    """A JPEG file of the level's quality."""
    return _by_pillow(batch.pixels, lambda image: _coded(image, "JPEG", int(batch.level)))


def webp(batch: Batch) -> Pixels:
    """A lossy WebP file of the level's quality."""
    return _by_pillow(batch.pixels, lambda image: _coded(image, "WEBP", int(batch.level)))


def resized(batch: Batch) -> Pixels:
    """Enlarge and bring back to size, by the way of :data:`RESIZES` that the level numbers."""
    which = int(batch.level) - 1
    if which == len(_FILTERS):
        return _by_pillow(batch.pixels, _halved)

    def again(image: Picture) -> Picture:
        width, height = image.size
        large = image.resize((round(width * 8 / 7), round(height * 8 / 7)), _Filter.BICUBIC)
        return large.resize(image.size, _FILTERS[which])

    return _by_pillow(batch.pixels, again)


def _halved(image: Picture) -> Picture:
    """Through a JPEG of twice the size, which the decoder halves before anybody resizes."""
    double = image.resize((2 * image.width, 2 * image.height), _Filter.BICUBIC)
    with Image.open(_file(double, "JPEG", 95)) as file:
        file.draft(image.mode, image.size)
        return file.convert(image.mode)


def _coded(image: Picture, kind: str, quality: int) -> Picture:
    with Image.open(_file(image, kind, quality)) as file:
        return file.convert(image.mode)


def _file(image: Picture, kind: str, quality: int) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file


def _pixels(x: Values) -> Pixels:
    return np.rint(x * 255).astype(np.uint8)


def _by_pillow(pixels: Pixels, change: Callable[[Picture], Picture]) -> Pixels:
    """Apply a change to each image as a picture."""
    out = np.empty_like(pixels)
    for image, new in zip(pixels, out, strict=True):
        grey = len(image) == 1
        picture = Image.fromarray(image[0] if grey else image.transpose(1, 2, 0).copy())
        changed = np.asarray(change(picture))
        new[...] = changed if grey else changed.transpose(2, 0, 1)
    return out
