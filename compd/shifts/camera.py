"""What a camera does to one image, in small amounts; each leaves it as it is at amount 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from compd.shifts.base import Batch, Pixels

__all__ = ["CAMERA", "DETAIL", "Change", "changed"]

DETAIL = 1 << 16  # a change's details are an integer below this: a noise's key, a square's place


@dataclass(frozen=True)
class Change:
    """What a camera can do."""

    apply: Callable[[Tensor, int, int], Tensor]  # uint8 (C, H, W), amount, detail -> the same
    most: int  # amount that is natural without doubt
    unit: str
    limit: int  # amount from which on nothing more happens, or nothing is left
    signed: bool = False  # whether amounts below 0 mean something
    detailed: bool = False  # whether the detail matters


def brightness(image: Tensor, amount: int, detail: int) -> Tensor:
    """Add levels to every value."""
    return (image.short() + amount).clamp(0, 255).to(torch.uint8)


def contrast(image: Tensor, amount: int, detail: int) -> Tensor:
    """Scale differences from the image's mean by percent."""
    mean = float(image.numpy().mean())  # PyTorch's sum depends on the number of threads
    return _lattice(mean + (image.float() - mean) * (1 + amount / 100))


def noise(image: Tensor, amount: int, detail: int) -> Tensor:
    """Normal noise whose standard deviation is some levels."""
    draw = np.random.Generator(np.random.Philox(key=detail))
    normal = torch.from_numpy(draw.standard_normal(tuple(image.shape), dtype=np.float32))
    return _lattice(image.float() + amount * normal)


def blur(image: Tensor, amount: int, detail: int) -> Tensor:
    """Gaussian blur with a radius in hundredths of the image's longer side."""
    radius = amount / 100 * max(image.shape[1:])
    return _by_pillow(image, lambda plane: plane.filter(ImageFilter.GaussianBlur(radius)))


def occlusion(image: Tensor, amount: int, detail: int) -> Tensor:
    """A grey square that covers percent of the image; the detail says where, and how bright."""
    _, height, width = image.shape
    side = math.ceil(math.sqrt(amount / 100 * height * width))
    rows, columns = min(side, height), min(side, width)
    top = detail % 64 * (height - rows) // 63
    left = detail // 64 % 64 * (width - columns) // 63
    covered = image.clone()
    covered[:, top : top + rows, left : left + columns] = detail // 4096 * 17  # 16 greys
    return covered


def rotation(image: Tensor, amount: int, detail: int) -> Tensor:
    """Turn about the centre by tenths of a degree; what comes in from outside repeats the edge."""
    pad = max(image.shape[1:]) // 2
    wide = np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="edge")
    turned = _by_pillow(
        torch.from_numpy(wide), lambda plane: plane.rotate(amount / 10, Image.Resampling.BILINEAR)
    )
    return turned[:, pad:-pad, pad:-pad].contiguous()


CAMERA: Mapping[str, Change] = {
    "brightness": Change(brightness, 32, "levels", 255, signed=True),
    "contrast": Change(contrast, 30, "percent", 100, signed=True),
    "noise": Change(noise, 12, "levels", 255, detailed=True),
    "blur": Change(blur, 4, "hundredths of the side", 100),
    "occlusion": Change(occlusion, 10, "percent of the image", 100, detailed=True),
    "rotation": Change(rotation, 100, "tenths of a degree", 1800, signed=True),
}


def changed(batch: Batch, change: Change) -> Pixels:
    """Each image changed by the level, in whole amounts; details are drawn."""
    details = [int(draw.integers(DETAIL)) for draw in batch.draws] or [0] * len(batch.pixels)
    images = [
        change.apply(torch.from_numpy(image.copy()), int(batch.level), detail).numpy()
        for image, detail in zip(batch.pixels, details, strict=True)
    ]
    return np.stack(images)


def _by_pillow(image: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Apply a change to each channel."""
    planes = [np.asarray(change(Image.fromarray(plane))) for plane in image.numpy()]
    return torch.from_numpy(np.stack(planes))


def _lattice(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
