"""Photographs of frost of the user's own."""

from __future__ import annotations

from pathlib import Path

from compd.errors import InputError, brief
from compd.files.names import IMAGE_SUFFIXES
from compd.files.reading import read_whole
from compd.images import read_image
from compd.shifts.base import Frost

__all__ = ["read_frost"]

_MOST_BYTES = 1 << 26


def read_frost(folder: Path) -> Frost:
    """Read the photographs of a folder, in the order of their names.

    They are cropped for larger images as they are, and for images up to 64 pixels scaled to a
    fifth first, as for CIFAR-10-C.

    Args:
        folder: with image files right in it.

    Returns:
        uint8 arrays of shape (3, H, W).

    Raises:
        CompdError: if there are none, or one cannot be read.
    """
    try:
        files = sorted(f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES)
        photos = tuple(read_image(read_whole(f, _MOST_BYTES), str(f)).numpy() for f in files)
    except OSError as error:
        raise InputError(
            f"expected a folder with photographs of frost, got {str(folder)!r} "
            f"({brief(error.strerror or error)})"
        ) from error
    if not photos:
        raise InputError(
            f"expected a folder with photographs of frost, got none in {str(folder)!r} (no "
            f"{', '.join(sorted(IMAGE_SUFFIXES)[:4])} …)"
        )
    return photos
