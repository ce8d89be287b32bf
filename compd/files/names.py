"""What a name that is given as data means: files here, or a data set on the Hugging Face Hub.

Nothing here imports torch: a name that is no data is told at once, not after seconds of imports.
"""

from __future__ import annotations

import glob
import os
from importlib.util import find_spec
from pathlib import Path

from compd.errors import InputError

__all__ = ["IMAGE_SUFFIXES", "anchored_data", "check_data", "looks_like_path"]

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
_OTHER_SUFFIXES = {".parquet", ".zip", ".tar", ".gz", ".tgz", ".npz", ".npy"}
_EMBEDDED = "digits"


def looks_like_path(name: str, folder: Path | None = None) -> bool:
    """Whether a name can only be meant as a path, be there anything or not.

    A name on the Hub is ``name`` or ``owner/name``, so what is written as a path is none: with a
    separator at its end, with a dot, a tilde or a separator in front, with more than one separator,
    as a glob, with the suffix of a picture or an archive, or below a folder that is there.

    Args:
        name: as it was given.
        folder: that relative paths are of; None for the working folder.
    """
    path = Path(name)
    return (
        name.startswith((".", "/", "~", os.sep))
        or name.endswith(("/", os.sep))
        or any(mark in name for mark in "*?[\\")
        or path.is_absolute()
        or path.suffix.lower() in IMAGE_SUFFIXES | _OTHER_SUFFIXES
        or len(path.parts) > 2
        or (len(path.parts) == 2 and ((folder or Path()) / path.parent).is_dir())
    )


def check_data(name: str) -> None:
    """Raise if a name of data is neither embedded, nor something here, nor one on the Hub.

    Whether there are images at a path, or data on the Hub, is not looked at.

    Raises:
        CompdError: then.
    """
    if name == _EMBEDDED or os.path.lexists(name):
        return
    if looks_like_path(name):
        if glob.has_magic(name):
            if any(found.endswith(".parquet") for found in glob.iglob(name, recursive=True)):  # noqa: PTH207 (may be absolute)
                return
            why = "no parquet file matches"
        else:
            why = "there is no such folder"
        raise InputError(
            f"expected {_EMBEDDED!r}, an image folder, parquet files or a Hugging Face dataset "
            f"name, got data={name!r} ({why})"
        )
    if find_spec("datasets") is None:
        raise InputError(
            f"expected {_EMBEDDED!r}, a folder of images or parquet files, got data={name!r} "
            "(there is no such folder; a Hugging Face name needs: pip install 'compd[hf]')"
        )


def anchored_data(name: str, folder: Path) -> str:
    """The same data wherever the command runs: a path made absolute, any other name as it is.

    Args:
        name: as it was given.
        folder: that relative paths are of.
    """
    if name == _EMBEDDED:
        return name
    place = folder / Path(name).expanduser()
    return str(place.absolute()) if looks_like_path(name, folder) or place.exists() else name
