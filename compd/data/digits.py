"""scikit-learn's handwritten digits: 1,797 real 8 x 8 scans, embedded, upscaled to 32 x 32."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from compd.data.dataset import Dataset, Part, part_of
from compd.sizes import Size

__all__ = ["digits"]

SIZE = Size(32, 32)


def digits(*, channels: int = 3, size: Size | None = None) -> Dataset:
    """Return the embedded digits, rows in their stored order (writers, not classes, in sequence).

    Args:
        channels: 3 repeats the grey value; 1 keeps it.
        size: to scale to; 32 x 32 by default.
    """
    size = size or SIZE
    raw, digit = _scans()

    def load() -> Part:
        scans = torch.from_numpy(raw)[:, None] * (255 / 16)  # (N, 1, 8, 8)
        large = F.interpolate(scans, size=size, mode="bilinear", align_corners=False)
        images = large.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)
        labels = torch.from_numpy(digit)
        return part_of(images.contiguous(), labels, 10, "digits")

    identity = hashlib.sha256(raw.tobytes() + digit.tobytes()).hexdigest()
    return Dataset(
        name="digits",
        identity=f"{identity[:32]}-{channels}x{size}",
        classes=tuple(str(digit) for digit in range(10)),
        channels=channels,
        size=size,
        mirror=False,
        loaders={"train": load},
        small=True,
    )


def _scans() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """scikit-learn's file without scikit-learn, which takes a second to import.

    Returns:
        Grey values 0..16 (N, 8, 8), and digits (N,).
    """
    spec = find_spec("sklearn")
    path = Path(spec.origin or "").with_name("datasets") / "data/digits.csv.gz" if spec else None
    if path is not None and path.is_file():
        table: NDArray[Any] = np.loadtxt(path, delimiter=",")
    else:  # it lies elsewhere
        from sklearn.datasets import load_digits

        bunch = load_digits()
        table = np.column_stack([bunch.data, bunch.target])
    return table[:, :-1].reshape(-1, 8, 8).astype(np.float32), table[:, -1].astype(np.int64)
