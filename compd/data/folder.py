"""Image folders: one subfolder per class, perhaps below ``train/`` and ``test/``."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from compd.data.dataset import UNKNOWN, Dataset, Part, part_of
from compd.data.decode import decode_all
from compd.data.resize import Resize, marked
from compd.errors import InputError
from compd.files.names import IMAGE_SUFFIXES
from compd.sizes import Size

__all__ = ["image_folder", "looks_like_folder"]

_TEST_NAMES = ("test", "val", "validation")


def looks_like_folder(path: Path) -> bool:
    """Whether a directory should be read as an image folder (rather than parquet files)."""
    return path.is_dir() and not any(path.rglob("*.parquet"))


def image_folder(
    path: Path,
    *,
    channels: int = 3,
    size: Size | None = None,
    resize: Resize | None = None,
    unlabelled: bool = False,
) -> Dataset:
    """Read ``path/CLASS/*.png`` or ``path/{train,test}/CLASS/*.png``, or one of both parts.

    Args:
        path: the folder.
        channels: 3 for RGB, 1 for grey.
        size: scale each image to this height and width; None demands that all have one size.
        resize: how they are scaled; None stretches them.
        unlabelled: whether ``path/*.png`` will do, where there are fewer than two subfolders.

    Raises:
        CompdError: if there are no images, fewer than two classes, or an unreadable image.
    """
    test_dir = next((path / name for name in _TEST_NAMES if (path / name).is_dir()), None)
    parts = [one for one in (path / "train", test_dir) if one is not None and one.is_dir()]
    others = [one for one in path.iterdir() if one.is_dir() and not _hidden(one)]
    roots = {"train": path}
    if len(parts) == 2:
        roots = {"train": parts[0], "test": parts[1]}
    elif len(parts) == 1 == len(others) and any(one.is_dir() for one in parts[0].iterdir()):
        roots = {"train": parts[0]}  # one part alone
    classes = tuple(
        sorted(
            child.name
            for child in roots["train"].iterdir()
            if child.is_dir() and not _hidden(child)
        )
    )
    if unlabelled and len(classes) < 2:
        classes = ("unlabelled",)
        files = {"train": [(file, UNKNOWN) for file in _images(path)]}
    else:
        files = {name: _files(root, classes) for name, root in roots.items()}
    for name, found in files.items():
        if not found:
            if unlabelled:
                raise InputError(
                    f"expected a folder with images, got none in data={str(roots[name])!r} (no "
                    f"{', '.join(sorted(IMAGE_SUFFIXES)[:4])} …)"
                )
            raise InputError(
                f"expected an image folder with at least one image in class subfolders, got "
                f"data={str(roots[name])!r} (no {', '.join(sorted(IMAGE_SUFFIXES)[:4])} … in any "
                "subfolder); put images under CLASS/NAME.png"
            )
    if len(classes) < 2 and not unlabelled:
        raise InputError(
            f"expected at least two class subfolders, got {len(classes)} in {str(path)!r} "
            f"({', '.join(classes)})"
        )
    probe = decode_all(
        [files["train"][0][0].read_bytes()],
        [str(files["train"][0][0])],
        channels=channels,
        size=size,
        resize=resize,
    )
    real = Size(*probe.images.shape[-2:])
    digest = hashlib.sha256(f"{channels} {real}{marked(resize)}".encode())
    for name in sorted(files):
        for file, label in files[name]:
            digest.update(f"{name}/{file.relative_to(path)} {label} ".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return Dataset(
        name=path.resolve().name,
        identity=digest.hexdigest(),
        classes=classes,
        channels=channels,
        size=real,
        mirror=True,
        resize="" if resize is None else str(resize),
        loaders={
            name: partial(_load, found, len(classes), channels, size, resize, str(roots[name]))
            for name, found in files.items()
        },
    )


def _hidden(path: Path) -> bool:
    """Whether a name is one of those that tools leave behind, such as ``.ipynb_checkpoints``."""
    return path.name.startswith((".", "__"))


def _files(root: Path, classes: Sequence[str]) -> list[tuple[Path, int]]:
    return [(file, label) for label, name in enumerate(classes) for file in _images(root / name)]


def _images(root: Path) -> list[Path]:
    return [
        file
        for file in sorted(root.rglob("*"))
        if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and not _hidden(file)
    ]


def _load(
    files: Sequence[tuple[Path, int]],
    classes: int,
    channels: int,
    size: Size | None,
    resize: Resize | None,
    where: str,
) -> Part:
    found = decode_all(
        [file.read_bytes() for file, _ in files],
        [str(file) for file, _ in files],
        channels=channels,
        size=size,
        resize=resize,
    )
    labels = torch.tensor([label for _, label in files])
    if classes == 1:
        return Part(found.images, labels, torch.arange(len(labels)), False, found.stretched)
    return part_of(found.images, labels, classes, where, stretched=found.stretched)
