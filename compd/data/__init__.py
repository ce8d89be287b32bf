"""Data sets: the embedded digits, image folders, parquet files, Hugging Face names."""

from __future__ import annotations

from pathlib import Path

from compd.data.dataset import UNKNOWN, Dataset, Part, Split, Splits, part_of
from compd.data.digits import digits
from compd.data.folder import image_folder, looks_like_folder
from compd.data.hub import from_hub
from compd.data.naming import named_for
from compd.data.parquet import parquet_files, read_parquet
from compd.data.resize import Resize
from compd.errors import InputError, SettingError
from compd.files.names import check_data
from compd.sizes import AnySize, Size
from compd.wording import setting

__all__ = [
    "UNKNOWN",
    "Dataset",
    "Part",
    "Resize",
    "Split",
    "Splits",
    "load_data",
    "named_for",
    "part_of",
]


def load_data(
    spec: str,
    *,
    channels: int = 3,
    size: AnySize | None = None,
    resize: Resize | str | None = None,
    unlabelled: bool = False,
) -> Dataset:
    """Open a data set by name.

    Args:
        spec: ``digits``; a folder of class subfolders; a folder or glob of parquet files; or a
            Hugging Face dataset name.
        channels: 3 for RGB, 1 for grey.
        size: scale images to this: ``224``, or height and width as ``(96, 192)`` or ``96x192``;
            None keeps theirs (digits: 32).
        resize: how images of another aspect ratio are scaled: ``stretch``, ``crop`` (the centre),
            ``crop 224/256`` (the centre of what is scaled to 256/224 of the size) or ``pad``
            (black); None stretches them, and a check says so.
        unlabelled: whether a folder of images without class subfolders will do.

    Raises:
        CompdError: if nothing can be read there.
    """
    if channels not in (1, 3):
        raise InputError(f"expected channels to be 1 or 3, got channels={channels}")
    size = None if size is None else Size.of(size)
    if size is not None and not 8 <= min(size) <= max(size) <= 1024:
        raise InputError(f"expected a size in 8..1024, got size={size}")
    resize = Resize.parse(resize) if isinstance(resize, str) else resize
    if resize is not None and size is None:
        raise SettingError(
            f"expected {setting('size')} with {setting('resize')}, got {setting('resize', resize)} "
            "alone; say what images are scaled to"
        )
    if spec == "digits":
        if resize is not None:
            raise SettingError(
                f"expected {setting('resize')} with images in files, got "
                f"{setting('resize', resize)} with data='digits', which are square"
            )
        return digits(channels=channels, size=size)
    path = Path(spec)
    if looks_like_folder(path):
        return image_folder(
            path, channels=channels, size=size, resize=resize, unlabelled=unlabelled
        )
    files = parquet_files(spec)
    if files:
        parent = path if path.is_dir() else files[0].parent
        return read_parquet(
            files, parent.resolve().name, channels=channels, size=size, resize=resize
        )
    if path.exists():
        raise InputError(
            f"expected 'digits', an image folder, parquet files or a Hugging Face dataset name, "
            f"got data={spec!r} (which is none of them)"
        )
    check_data(spec)
    return from_hub(spec, channels=channels, size=size, resize=resize)
