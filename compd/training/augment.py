"""Random crops, mirrors and cutouts on uint8 batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["crop_and_mirror", "cut_out"]


def crop_and_mirror(images: Tensor, pad: int, mirror: bool, generator: torch.Generator) -> Tensor:
    """Shift each image by up to ``pad`` pixels (zeros come in) and mirror half of them.

    Args:
        images: uint8 (N, C, H, W), on any device.
        pad: largest shift in pixels; 0 for none.
        mirror: whether to mirror.
        generator: a CPU generator; the draws do not depend on the device.

    Returns:
        uint8 (N, C, H, W).
    """
    n, _, height, width = images.shape
    shift = torch.randint(0, 2 * pad + 1, (2, n), generator=generator)
    flip = torch.rand(n, generator=generator) < (0.5 if mirror else 0.0)
    rows = shift[0][:, None] + torch.arange(height)  # (N, H)
    columns = torch.arange(width).expand(n, width)
    columns = shift[1][:, None] + torch.where(flip[:, None], columns.flip(1), columns)  # (N, W)
    padded = F.pad(images, (pad, pad, pad, pad))
    # one gather for all: (N, 1, 1), (N, H, 1), (N, 1, W) index the (N, H, W, C) view
    n_index = torch.arange(n)[:, None, None].to(images.device)
    taken = padded.permute(0, 2, 3, 1)[
        n_index, rows[:, :, None].to(images.device), columns[:, None, :].to(images.device)
    ]
    return taken.permute(0, 3, 1, 2)


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """Black out one square of each image, at a random place that may lie partly outside.

    Cutout (DeVries and Taylor 2017).

    Args:
        images: uint8 (N, C, H, W), on any device.
        side: of the square, in pixels; 0 for none.
        generator: a CPU generator; the draws do not depend on the device.

    Returns:
        uint8 (N, C, H, W).
    """
    if not side:
        return images
    n, _, height, width = images.shape
    top = torch.randint(0, height, (n, 1), generator=generator) - side // 2
    left = torch.randint(0, width, (n, 1), generator=generator) - side // 2
    y, x = torch.arange(height), torch.arange(width)
    rows = (y >= top) & (y < top + side)  # (N, H)
    columns = (x >= left) & (x < left + side)  # (N, W)
    hole = rows[:, None, :, None] & columns[:, None, None, :]  # (N, 1, H, W)
    return images.masked_fill(hole.to(images.device), 0)
