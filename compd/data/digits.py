"""scikit-learn's handwritten digits: 1,797 real 8 x 8 scans, embedded, upscaled to 32 x 32."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F

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
    from sklearn.datasets import load_digits

    size = size or SIZE
    bunch = load_digits()
    raw = np.ascontiguousarray(bunch.images, dtype=np.float32)  # (N, 8, 8), 0..16

    def load() -> Part:
        scans = torch.from_numpy(raw)[:, None] * (255 / 16)  # (N, 1, 8, 8)
        large = F.interpolate(scans, size=size, mode="bilinear", align_corners=False)
        images = large.round().clamp(0, 255).to(torch.uint8).expand(-1, channels, -1, -1)
        labels = torch.from_numpy(bunch.target).long()
        return part_of(images.contiguous(), labels, 10, "digits")

    identity = hashlib.sha256(raw.tobytes() + bunch.target.tobytes()).hexdigest()
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
