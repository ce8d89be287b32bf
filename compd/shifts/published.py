"""The published arrays of CIFAR-10-C and MNIST-C, which users may hold.

Nothing of an array is read before it is asked for: files are mapped into memory, and never
unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.errors import InputError, brief, unknown
from compd.shifts.applying import LEAST_SIDE
from compd.shifts.base import Kind, Pixels, Shift
from compd.shifts.kinds import SHIFTS

__all__ = ["PublishedImages", "PublishedSet", "published_sets"]

_LABELS = "labels.npy"
_DIGIT_IMAGES, _DIGIT_LABELS = "test_images.npy", "test_labels.npy"
_MOST_LABEL = 1 << 20


class PublishedImages:
    """Images of one set, read from the file when they are asked for."""

    def __init__(self, array: Pixels) -> None:
        self._array = array  # (N, H, W, C), mapped

    def __len__(self) -> int:
        return len(self._array)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W)."""
        count, height, width, channels = self._array.shape
        return count, channels, height, width

    def __getitem__(self, rows: Any) -> Tensor:
        """The images of a slice as uint8 (N, C, H, W), or one as (C, H, W)."""
        part = np.array(self._array[rows])  # a copy
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(part, -1, -3)))


@dataclass(frozen=True)
class PublishedSet:
    """One kind at one severity."""

    shift: Shift
    images: PublishedImages  # len() and slices, uint8 (N, C, H, W)
    labels: Tensor  # int64 (N,)


def published_sets(directory: Path) -> tuple[PublishedSet, ...]:
    """Open the sets of a folder, in the order of :data:`compd.shifts.SHIFTS`.

    Args:
        directory: with ``KIND.npy`` and ``labels.npy``, as CIFAR-10-C has them: the images at
            severities 1 to 5, one after the other, uint8 (5 N, H, W, C). Or with folders ``KIND``
            of ``test_images.npy`` and ``test_labels.npy``, as MNIST-C has them.

    Raises:
        CompdError: if there are none, or a file is not what it has to be.
    """
    if not directory.is_dir():
        raise InputError(
            f"expected a folder with the published arrays, got {str(directory)!r} (no such folder)"
        )
    labels = directory / _LABELS
    sets = _graded(directory, labels) if labels.exists() else _digits(directory)
    if not sets:
        raise InputError(
            f"expected KIND.npy and {_LABELS}, or KIND/{_DIGIT_IMAGES}, got neither in "
            f"{str(directory)!r}; unpack the archive there"
        )
    order = list(SHIFTS)
    return tuple(sorted(sets, key=lambda one: (order.index(one.shift.kind), one.shift.severity)))


def _graded(directory: Path, labels_file: Path) -> list[PublishedSet]:
    labels = _labels(labels_file)
    sets = []
    for file in sorted(directory.glob("*.npy")):
        if file.name == _LABELS:
            continue
        kind = _known(file.stem, file)
        if not kind.graded:
            raise InputError(
                f"expected kinds of severities 1 to 5, got {str(file)!r}; move it elsewhere"
            )
        images = _images(file, kind, len(labels))
        if len(images) % 5:
            raise InputError(
                f"expected five severities of as many images each, got {len(images)} images in "
                f"{str(file)!r}"
            )
        each = len(images) // 5
        for severity in range(1, 6):
            rows = slice(each * (severity - 1), each * severity)
            shift = Shift(file.stem, severity)
            sets.append(PublishedSet(shift, PublishedImages(images[rows]), labels[rows].clone()))
    return sets


def _digits(directory: Path) -> list[PublishedSet]:
    sets = []
    for folder in sorted(directory.iterdir()):
        if not (folder / _DIGIT_IMAGES).exists():
            continue
        name = f"mnist_{folder.name}"
        kind = _known(name, folder)
        labels = _labels(folder / _DIGIT_LABELS)
        images = _images(folder / _DIGIT_IMAGES, kind, len(labels))
        sets.append(PublishedSet(Shift(name, kind.levels[0]), PublishedImages(images), labels))
    return sets


def _known(name: str, path: Path) -> Kind:
    if name not in SHIFTS:
        why = str(unknown("shift", name, SHIFTS))
        raise InputError(f"{why}: {str(path)!r}; move it elsewhere if it is no published set")
    return SHIFTS[name]


def _images(file: Path, kind: Kind, count: int) -> Pixels:
    array = _array(file)
    fits = array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] in kind.channels
    if not fits or min(array.shape[1:3]) < LEAST_SIDE:
        channels = " or ".join(map(str, kind.channels))
        raise InputError(
            f"expected uint8 images of shape (N, H, W, C) with C {channels} and sides of at least "
            f"{LEAST_SIDE}, got {array.dtype} {array.shape} in {str(file)!r}"
        )
    if len(array) != count:
        raise InputError(
            f"expected as many images as labels ({count}), got {len(array)} in {str(file)!r}"
        )
    return array


def _labels(file: Path) -> Tensor:
    array = _array(file)
    if array.dtype.kind not in "iu" or array.ndim != 1 or not len(array):
        raise InputError(
            f"expected labels as whole numbers of shape (N,), got {array.dtype} {array.shape} in "
            f"{str(file)!r}"
        )
    low, high = array.min(), array.max()
    if low < 0 or high > _MOST_LABEL:
        raise InputError(f"expected labels from 0 on, got {low} to {high} in {str(file)!r}")
    return torch.from_numpy(array.astype(np.int64))


def _array(file: Path) -> NDArray[Any]:
    """A file mapped into memory; its claims about itself are checked by NumPy."""
    try:
        if not file.is_file():  # a pipe would be waited for
            raise ValueError("no regular file")
        with file.open("rb") as opened:
            if opened.read(6) not in (b"\x93NUMPY", b""):
                raise ValueError("no .npy file")
        array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("an archive of arrays")
    except Exception as error:  # of a damaged file NumPy raises many kinds
        raise InputError(
            f"expected an array of NumPy, got {str(file)!r} ({brief(error)}); get it anew"
        ) from error
    return array
