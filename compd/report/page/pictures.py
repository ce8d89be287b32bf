"""An entry's picture: seed, deviation and their amplified difference, side by side in one file."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.report.picture import amplified, factor_of

__all__ = ["Picture", "picture_of"]

_EXACT = 64  # pixels a side: up to here each pixel is shown as it is
_SIDE = 112  # of larger pictures, which are made smaller
_QUALITY = 82  # of these, in WebP
_GAP = 16  # part of a picture's width that is left between two, transparent


@dataclass(frozen=True)
class Picture:
    """Three pictures in a row."""

    data: bytes
    kind: str  # "png" or "webp"
    width: int  # of all three, with gaps, pixels
    height: int
    factor: int  # by which the difference is amplified
    exact: bool  # whether each pixel is one of the image's


def picture_of(corpus: Corpus, record: Record) -> Picture:
    """Draw an entry.

    Raises:
        CompdError: if a picture is missing or damaged, or the two differ in size.
    """
    return _side_by_side(corpus.image(record), corpus.seed_image(record))


def _side_by_side(image: Tensor, seed: Tensor) -> Picture:
    factor = factor_of(image, seed)
    small, before = _shown(image), _shown(seed)
    parts = [before, small, amplified(small, before, factor)]
    width, height = small.size
    gap = max(1, width // _GAP)
    row = Image.new("LA" if small.mode == "L" else "RGBA", (3 * width + 2 * gap, height))
    for k, part in enumerate(parts):
        row.paste(part, (k * (width + gap), 0))
    exact = max(image.shape[1:]) <= _EXACT
    buffer = io.BytesIO()
    if exact:
        row.save(buffer, "PNG", compress_level=6)
    else:
        row.convert("RGBA").save(buffer, "WEBP", quality=_QUALITY, method=2)
    return Picture(buffer.getvalue(), "png" if exact else "webp", *row.size, factor, exact)


def _shown(image: Tensor) -> Image.Image:
    array = np.ascontiguousarray(image.numpy().transpose(1, 2, 0))
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    longer = max(picture.size)
    if longer <= _EXACT:
        return picture
    wide, high = (max(1, round(_SIDE * side / longer)) for side in picture.size)
    return picture.resize((wide, high), Image.Resampling.LANCZOS)
