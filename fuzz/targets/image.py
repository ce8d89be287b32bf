"""Image files of a user's folder: what converts to the lattice without loss, of any kind."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from compd.images import read_image
from targets.contract import Broken, only_compd_errors
from targets.examples import image_of
from targets.png import WORDS as PNG_WORDS
from targets.png import mutate as mutate_png
from targets.png import seeds as png_seeds

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    *PNG_WORDS,
    b"MM\0*",
    b"RIFF",
    b"WEBPVP8 ",
    b"WEBPVP8L",
    b"WEBPVP8X",
    b"P5",
    b"P6",
    b"P7",
    b"\xff\xd9",
    b"\xff\xda",
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xe1Exif\0\0",
    b"8BPS",
)


def seeds() -> Iterator[bytes]:
    """Each kind that a folder may hold."""
    yield from png_seeds()
    array = np.ascontiguousarray(image_of(3).permute(1, 2, 0).numpy())
    rgb = Image.fromarray(array)
    for picture, kind in [
        (rgb, "JPEG"),
        (rgb, "BMP"),
        (rgb, "WEBP"),
        (rgb, "PPM"),
        (rgb, "TIFF"),
        (rgb, "GIF"),
        (rgb.convert("L"), "PPM"),
        (rgb.convert("P"), "PNG"),
        (rgb.convert("RGBA"), "PNG"),
        (rgb.convert("CMYK"), "JPEG"),
        (rgb.convert("I;16"), "TIFF"),
        (rgb.convert("1"), "TIFF"),
    ]:
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        yield buffer.getvalue()


def mutate(data: bytes, most: int, seed: int) -> bytes | None:
    """Change a PNG chunk by chunk; other kinds have few checksums in the way."""
    return mutate_png(data, most, seed) if data.startswith(b"\x89PNG") else None


def entry(data: bytes) -> None:
    """Read as colour or as grey."""
    channels = 1 if len(data) % 4 == 0 else 3
    with only_compd_errors():
        image = read_image(data, "picture", channels=channels)
        if image.ndim != 3 or image.shape[0] != channels or not image.numel():
            raise Broken(f"an image of shape {tuple(image.shape)}")
