"""The uint8 lattice: PNG round trips, pixel hashes and distances.

An image is a ``uint8`` tensor of shape ``(C, H, W)``, a batch ``(N, C, H, W)``, with ``C`` 3 (RGB)
or 1 (grey). Floats exist only inside a model.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from torch import Tensor

from compd.errors import CompdError, InputError, brief

__all__ = [
    "Distances",
    "check_batch",
    "decode_png",
    "distances",
    "encode_png",
    "pixel_hash",
    "png_round_trip",
    "read_image",
    "upright_pixels",
]

_LFS = b"version https://git-lfs"
MAX_PIXELS = 1 << 26  # 64 megapixels: more than any camera sends, less than a decompression bomb
_MODES = {1: "L", 3: "RGB"}
# What Pillow may take a file for. It knows more kinds, and starts Ghostscript for one of them.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "TIFF", "GIF")
_ORIENTATION = 0x0112  # the EXIF tag that says how a camera was held
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def check_batch(images: Tensor, name: str = "images") -> None:
    """Raise unless ``images`` is a batch on the lattice.

    Raises:
        CompdError: if it is not ``uint8`` of shape ``(N, C, H, W)`` with ``C`` 1 or 3.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in _MODES:
        raise InputError(
            f"expected uint8 images of shape (N, C, H, W) with C 1 or 3, got "
            f"{name}={images.dtype} {tuple(images.shape)}; round floats to the 0..255 lattice first"
        )


def _to_array(image: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(C, H, W) tensor -> contiguous (H, W, 3) or (H, W) array."""
    array = image.permute(1, 2, 0).numpy()  # (H, W, C)
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)


def encode_png(image: Tensor, *, level: int = 1) -> bytes:
    """Encode one ``(C, H, W)`` uint8 image as PNG. Lossless, and the same bytes each time.

    Args:
        image: the picture.
        level: of compression, 0 to 9. These files are small, and a campaign encodes thousands.
    """
    buffer = io.BytesIO()
    Image.fromarray(_to_array(image)).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def decode_png(data: bytes, *, most_pixels: int = MAX_PIXELS) -> Tensor:
    """Decode what :func:`encode_png` wrote: 8-bit grey or RGB, nothing else.

    Args:
        data: the bytes of the file.
        most_pixels: that the picture may have; looked at before any is decoded.

    Returns:
        uint8 tensor of shape (C, H, W).

    Raises:
        CompdError: if the bytes are no such PNG; the caller knows the file and names it.
    """
    return _decode(data, where="image", strict=True, most=most_pixels)


def read_image(data: bytes, where: str, *, channels: int = 3) -> Tensor:
    """Read an image file (PNG, JPEG, BMP, WebP, PPM, TIFF, GIF) as a person sees it.

    It is turned upright as its EXIF orientation says. Grey and palette images become RGB by
    repeating or looking up, CMYK and YCCK by (255 - ink) * (255 - black) / 255; fully opaque RGBA
    loses its alpha. What would lose information (16-bit samples, real transparency) is refused.

    Args:
        data: the bytes of the file.
        where: the name of the file, for error messages.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8 tensor of shape (channels, H, W).

    Raises:
        CompdError: if the file is empty, truncated, corrupt, too large or not convertible.
    """
    return _decode(data, where=where, strict=False, channels=channels)


def upright_pixels(image: Image.Image, where: str, *, channels: int = 3) -> Tensor:
    """An opened picture as :func:`read_image` reads a file.

    Args:
        image: of Pillow.
        where: what it is called in error messages.
        channels: 3 for RGB, 1 for grey.

    Returns:
        uint8 tensor of shape (channels, H, W).

    Raises:
        CompdError: if something would be lost on the way.
    """
    return torch.from_numpy(_pixels(image, where, channels))


def _decode(
    data: bytes, *, where: str, strict: bool, channels: int = 3, most: int = MAX_PIXELS
) -> Tensor:
    if not data:
        raise InputError(f"expected an image, got an empty file (0 bytes): {where}; remove it")
    if data.startswith(_LFS):
        raise InputError(f"expected an image, got a pointer of Git LFS: {where}; git lfs pull")
    try:
        array = _array_of(data, where, strict, channels, most)
    except CompdError:
        raise
    except UnidentifiedImageError as error:
        kind = "readable image, an 8-bit grey or RGB PNG" if strict else "readable image"
        raise InputError(
            f"expected a {kind}, got something else: {where}; remove or replace it"
        ) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"expected at most {most} pixels, got more: {where}") from error
    except Exception as error:  # of a damaged file Pillow raises a dozen kinds
        raise InputError(
            f"expected a readable image, got a corrupt or truncated file: {where} "
            f"({brief(error, 120)}); remove or replace it"
        ) from error
    return torch.from_numpy(array)


def _array_of(
    data: bytes, where: str, strict: bool, channels: int, most: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Decoded pixels, (C, H, W); Pillow's own copy of them is gone on return."""
    formats = _FORMATS[:1] if strict else _FORMATS
    with Image.open(io.BytesIO(data), formats=list(formats)) as image:
        width, height = image.size
        if width * height > most:
            raise InputError(
                f"expected at most {most} pixels, got {width}x{height}: {where}; scale it down"
            )
        if strict:
            if _is_deep(image):
                raise _deep(image, where)
            image.load()
            if image.mode not in _MODES.values():
                raise InputError(
                    f"expected an 8-bit grey or RGB PNG, got mode {image.mode}: {where}"
                )
            array = np.asarray(image)  # read-only
            return array.reshape(height, width, -1).transpose(2, 0, 1).copy()
        return _pixels(image, where, channels)


def _pixels(
    image: Image.Image, where: str, channels: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(C, H, W) of a picture that may not be loaded yet."""
    if _is_deep(image):  # Pillow would keep the high bytes and say nothing
        raise _deep(image, where)
    image.load()
    return _planes(_upright(_lossless(image, where), _orientation(image)), channels)


def _orientation(image: Image.Image) -> int:
    """1 to 8, as EXIF numbers them; 1 where a file does not say it in a readable way."""
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of damaged EXIF, which viewers pass over, too
        return 1
    return found if isinstance(found, int) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _planes(image: Image.Image, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(C, H, W) of an opaque image, plane by plane: a large one is copied in parts only."""
    if image.mode not in (("RGB", "RGBA") if channels == 3 else ("L",)):
        image = image.convert(_MODES[channels])
    planes = np.empty((channels, image.height, image.width), np.uint8)
    for k, plane in enumerate(planes):
        plane[...] = np.asarray(image if channels == 1 else image.getchannel(k))
    return planes


def _lossless(image: Image.Image, where: str) -> Image.Image:
    """Return the image without alpha, or refuse what 8 bits a channel cannot hold."""
    if image.mode.startswith(("I", "F")):
        raise _deep(image, where)
    if "transparency" in image.info:  # of a palette, or one colour of a grey or RGB image
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "PA"):
        lowest = image.getchannel("A").getextrema()[0]
        if lowest != 255:
            raise InputError(
                f"expected an opaque image, got transparency (lowest alpha {lowest}): {where}; "
                "flatten it onto a background first"
            )
    return image


def _is_deep(image: Image.Image) -> bool:
    """Whether an opened file, not yet loaded, stores 16 bits a channel."""
    tiles = image.tile if isinstance(image, ImageFile) else []
    return image.format in ("PNG", "TIFF") and any(";16" in str(tile[3]) for tile in tiles)


def _deep(image: Image.Image, where: str) -> CompdError:
    return InputError(
        f"expected 8 bits a channel, got mode {image.mode} (16 bits or more): {where}; "
        "convert it to 8 bits first, so that it is you who decides how to round"
    )


def png_round_trip(images: Tensor) -> Tensor:
    """Encode each image to PNG bytes and decode it again.

    Args:
        images: uint8 (N, C, H, W).

    Returns:
        uint8 (N, C, H, W): what a reader of the files would see.
    """
    check_batch(images)
    if not len(images):
        return images
    # No threads: at 32 x 32 handing the work over costs more than doing it. No compression: these
    # bytes are read once, and it would take two fifths of the time (both measured).
    return torch.stack([decode_png(encode_png(image, level=0)) for image in images])


def pixel_hash(image: Tensor) -> str:
    """SHA-256 (hex) of the decoded pixels of one uint8 (C, H, W) image, in (H, W, C) order.

    The same as ``sha256(numpy.asarray(PIL.Image.open(file)).tobytes())`` of its PNG.
    """
    return hashlib.sha256(_to_array(image).tobytes()).hexdigest()


@dataclass(frozen=True)
class Distances:
    """How far each candidate is from its seed; each field has shape (N,)."""

    linf: Tensor  # int16, levels of 255
    l2: Tensor  # float32, root of the mean squared difference, pixels in 0..1 ("L2 per pixel")
    psnr: Tensor  # float32, decibels; infinite where nothing changed


def distances(candidates: Tensor, seeds: Tensor) -> Distances:
    """Measure candidates against their seeds.

    ``l2`` is the L2 norm per pixel of the COMPD paper (section 4): the root of the mean over all
    pixels and channels of the squared difference of values in 0..1.

    Args:
        candidates: uint8 (N, C, H, W).
        seeds: uint8 (N, C, H, W).
    """
    delta = candidates.to(torch.int16) - seeds.to(torch.int16)
    flat = delta.flatten(1)
    linf = flat.abs().amax(1) if len(flat) else flat.new_zeros(0)
    l2 = (flat.float() / 255).square().mean(1).sqrt()
    return Distances(linf=linf, l2=l2, psnr=-20 * torch.log10(l2))
