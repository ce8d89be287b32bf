"""Published arrays of shifted images: one file of NumPy beside its labels."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import torch

from compd.shifts import published_sets
from targets.contract import Broken, only_compd_errors, scratch

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    b"\x93NUMPY\x01\x00",
    b"\x93NUMPY\x03\x00",
    b"PK\x03\x04",
    b"{'descr': '|u1', ",
    b"'fortran_order': True, ",
    b"'fortran_order': False, ",
    b"'shape': (5, 8, 8, 3), }",
    b"'shape': (99999999999, 8, 8, 3), }",
    b"'shape': (-5, 8, 8, 3), }",
    b"'<u8'",
    b"'|O'",
    b"[('a', '|u1')]",
)


def seeds() -> Iterator[bytes]:
    """Images in both orders, and arrays that are none."""
    images = np.arange(5 * 8 * 8 * 3, dtype=np.uint8).reshape(5, 8, 8, 3)
    for array in (images, np.asfortranarray(images), images[..., 0], np.arange(5)):
        file = io.BytesIO()
        np.save(file, array)
        yield file.getvalue()


def entry(data: bytes) -> None:
    """Open it as images and as labels, and read the images."""
    folder = scratch() / "arrays"
    folder.mkdir(exist_ok=True)
    images, labels = folder / "fog.npy", folder / "labels.npy"
    images.write_bytes(data)
    labels.write_bytes(data)
    with only_compd_errors():
        published_sets(folder)
    np.save(labels, np.arange(5))
    with only_compd_errors():
        for one in published_sets(folder):
            read = one.images[:]
            if read.dtype != torch.uint8 or len(read) != len(one.labels):
                raise Broken("images that are none, or without labels")
