"""Images as people have them: arrays, lists, floats, pictures of Pillow, channels last.

What can only be meant one way is taken that way. Of the rest, the error says what to do: compd
rounds and scales nothing by itself, since what it finds is a matter of single levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from compd.errors import InputError, SettingError
from compd.images import check_batch, upright_pixels
from compd.wording import setting

__all__ = ["Batch", "arranged", "as_tensor", "lattice"]

_Some: TypeAlias = Tensor | NDArray[Any] | Image.Image
Batch: TypeAlias = _Some | Sequence[_Some]

_KINDS = "uint8 (N, C, H, W), a split, a data set or its name"
_NEAR = 0.07  # levels from the lattice that float16 takes a pixel / 255
_ROUND = "(images * 255).round().to(torch.uint8)"


def lattice(images: object, shape: tuple[int, int, int], name: str = "images") -> Tensor:
    """Images of any form as a batch.

    Args:
        images: a tensor on any device, an array, a picture of Pillow, or a sequence of such, all of
            one size. Channels come first or last; one image may come without its batch, grey ones
            without their channel where ``shape`` says so. Numbers are levels 0..255 of any type, or
            levels / 255 as floats.
        shape: (C, H, W) that is wanted; zeros where that is not known.
        name: of the argument, for errors.

    Returns:
        uint8 (N, C, H, W) on the CPU.

    Raises:
        CompdError: if they could be meant otherwise, or have no place on the lattice.
    """
    batch = arranged(as_tensor(images, name, shape[0]), shape)
    batch = batch if batch.dtype == torch.uint8 else _levels(batch, name)
    check_batch(batch, name)
    return batch


def as_tensor(images: object, name: str, channels: int = 0) -> Tensor:
    """A tensor on the CPU with the numbers of whatever holds images.

    Args:
        images: as of :func:`lattice`.
        name: of the argument, for errors.
        channels: 1 or 3 that a picture of Pillow gets; 0 for those that it has.

    Raises:
        CompdError: if it holds none.
    """
    if isinstance(images, Tensor):
        return images.detach().cpu()
    if isinstance(images, Image.Image):
        wanted = channels or (1 if images.mode in ("1", "L", "LA") else 3)
        return upright_pixels(images, name, channels=wanted)
    if isinstance(images, list | tuple):
        return _stacked(images, name, channels)
    if not isinstance(images, np.ndarray) and hasattr(images, "__array__"):
        images = np.asarray(images)  # of other libraries
    if isinstance(images, np.ndarray) and images.dtype.kind in "buif":
        if images.dtype.kind == "u" and images.dtype != np.uint8:
            images = images.astype(np.int64)
        return torch.from_numpy(np.array(images))  # a copy: an array may be read-only
    came = f"an array of {images.dtype}" if isinstance(images, np.ndarray) else _kind(images)
    advice = ""
    if hasattr(images, "__iter__"):
        advice = f"; stack them first: {name} = torch.stack([image for image, label in …])"
    raise SettingError(f"expected {name} as {_KINDS}, got {came}{advice}")


def arranged(images: Tensor, shape: tuple[int, int, int] = (0, 0, 0)) -> Tensor:
    """Images of any number type as a batch with the channels first, where the order is plain.

    Args:
        images: a batch, or one image.
        shape: (C, H, W) that is wanted; zeros where that is not known.

    Returns:
        (N, C, H, W); or ``images`` as they are, if they could be meant otherwise.
    """
    channels, *sides = shape
    last = (*sides, channels)
    size = tuple(images.shape)
    if channels == 1 and size[-2:] == tuple(sides) and size[-3:] != shape and images.ndim <= 3:
        return images.reshape(-1, *shape)  # grey images without their channel
    if images.ndim == 3 and (size in (shape, last) or (size[0] in (1, 3)) != (size[2] in (1, 3))):
        images = images[None]
    if images.ndim == 4 and tuple(images.shape[1:]) != shape:
        first, final = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
        if tuple(images.shape[1:]) == last or (final and not first):
            return images.permute(0, 3, 1, 2).contiguous()
    return images


def _stacked(images: Sequence[object], name: str, channels: int) -> Tensor:
    if not images:
        raise SettingError(f"expected {name} with at least one image, got none")
    if not all(isinstance(one, Tensor | np.ndarray | Image.Image) for one in images):
        odd = next(one for one in images if not isinstance(one, Tensor | np.ndarray | Image.Image))
        advice = "open the files with PIL.Image.open, or name their folder" if _is_name(odd) else ""
        raise SettingError(
            f"expected {name} as tensors, arrays or pictures of Pillow, got a list with "
            f"{_kind(odd)}{'; ' if advice else ''}{advice}"
        )
    found = [as_tensor(one, name, channels) for one in images]
    kinds = {(tuple(one.shape), one.dtype) for one in found}
    if len(kinds) > 1:
        told = " and ".join(f"{kind} {size}" for size, kind in sorted(kinds, key=str)[:2])
        raise InputError(
            f"expected {name} of one shape and type, got {told}; scale or convert them first"
        )
    return torch.stack(found)


def _levels(images: Tensor, name: str) -> Tensor:
    """Numbers of another type than uint8 as levels."""
    if not images.numel():
        return images.to(torch.uint8)
    if images.dtype == torch.bool or images.is_complex():
        raise InputError(f"expected {name} of levels 0..255, got {name}={images.dtype}")
    low, high = float(images.min()), float(images.max())
    got = f"got {name}={images.dtype} in {low:g}..{high:g}"
    if not bool(torch.isfinite(images).all()):
        raise InputError(f"expected {name} of levels 0..255, got values that are not finite")
    if not images.is_floating_point():
        if not 0 <= low <= high <= 255:
            raise InputError(f"expected {name} of levels 0..255, {got}; scale them to 8 bits")
        return images.to(torch.uint8)
    if low < 0:
        raise InputError(
            f"expected {name} as pixels, {got}: they seem to be normalised; pass the pixels, and "
            f"the normalisation to the pair: {setting('mean')} and {setting('std')}"
        )
    if high > 255:
        raise InputError(f"expected {name} of levels 0..255, {got}; scale them to 8 bits")
    levels = images.double() * (255 if high <= 1 else 1)
    whole = levels.round()
    if bool((levels - whole).abs().max() > _NEAR):
        advice = _ROUND.replace("images", name) if high <= 1 else f"{name}.round().to(torch.uint8)"
        raise InputError(
            f"expected {name} on the 8-bit lattice, {got}, some between two levels; round them "
            f"yourself: {advice}"
        )
    return whole.to(torch.uint8)


def _is_name(thing: object) -> bool:
    return isinstance(thing, str) or hasattr(thing, "__fspath__")


def _kind(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}".removeprefix("builtins.")
