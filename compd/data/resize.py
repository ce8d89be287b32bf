"""How photographs of any size become images of a model's: stretched, cropped or padded."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from compd.errors import InputError, SettingError, unknown
from compd.images import MAX_PIXELS
from compd.wording import setting

__all__ = ["KINDS", "Resize", "marked"]

KINDS = ("stretch", "crop", "pad")
_MOST = 1 << 12  # pixels in the two numbers of a crop


@dataclass(frozen=True)
class Resize:
    """A way to scale images; all of them are bilinear with antialiasing.

    Args:
        kind: ``stretch``: both sides to the size, whatever the shape was. ``crop``: as small as it
            covers the size, and of that the centre. ``pad``: as large as it fits into the size,
            centred on black.
        crop: of ``crop``, (224, 256): scaled to 256/224 of the size before the centre is taken, as
            torchvision's Resize(256) and CenterCrop(224) do.

    Raises:
        SettingError: if there is no such way.
    """

    kind: str = "stretch"
    crop: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("resize", self.kind, KINDS)
        if self.crop is None:
            return
        if self.kind != "crop":
            raise SettingError(
                f"{setting('resize', 'crop')} with {setting('crop')}", resize=self.kind
            )
        if not 1 <= self.crop[0] <= self.crop[1] <= _MOST:
            raise SettingError("crop as kept/scaled (224/256)", crop="/".join(map(str, self.crop)))

    @classmethod
    def of(cls, kind: str | None, crop: str | None) -> Resize | None:
        """What a user says; None if nothing.

        Args:
            kind: one of :data:`KINDS`; None: ``crop`` where that is said.
            crop: ``224/256``.

        Raises:
            SettingError: if it makes no sense.
        """
        if crop is None:
            return None if kind is None else cls(kind)
        found = re.fullmatch(r"([0-9]{1,4})/([0-9]{1,4})", crop)
        if found is None:
            raise SettingError("crop as kept/scaled (224/256)", crop=crop)
        return cls(kind or "crop", (int(found[1]), int(found[2])))

    @classmethod
    def parse(cls, text: str) -> Resize:
        """The inverse of ``str``.

        Raises:
            SettingError: if it is anything else.
        """
        kind, _, crop = text.partition(" ")
        found = cls.of(kind, crop or None)
        assert found is not None  # there is a kind
        return found

    def __str__(self) -> str:
        return self.kind if self.crop is None else f"{self.kind} {self.crop[0]}/{self.crop[1]}"

    def __call__(self, image: Tensor, height: int, width: int, where: str) -> Tensor:
        """Scale an image.

        Args:
            image: uint8 (C, H, W).
            height: of the result.
            width: of the result.
            where: the name of the file, for errors.

        Returns:
            uint8 (C, height, width).

        Raises:
            InputError: if what is to be cropped is so long that scaling it takes too much memory.
        """
        if self.kind == "pad":
            return _padded(image, height, width)
        if self.kind == "stretch":
            return _scaled(image, height, width)
        kept, scaled = self.crop or (1, 1)
        _, h, w = image.shape
        high, wide = round(height * scaled / kept), round(width * scaled / kept)  # to be covered
        if high * w >= wide * h:
            wide = int(high * w / h)
        else:
            high = int(wide * h / w)
        if high * wide > MAX_PIXELS:
            raise InputError(
                f"expected an image that can be cropped, got {h}x{w} (height x width), which is "
                f"scaled to {high}x{wide} before: {where}; cut it, or pass "
                f"{setting('resize', 'pad')}"
            )
        image = _scaled(image, high, wide)
        top, left = round((high - height) / 2), round((wide - width) / 2)
        return image[:, top : top + height, left : left + width].contiguous()


def marked(resize: Resize | None) -> str:
    """What the identity of a data set says of a way to scale: nothing if it stretches."""
    return "" if resize is None or resize.kind == "stretch" else f" {resize}"


def _padded(image: Tensor, height: int, width: int) -> Tensor:
    """As large as it fits, centred on black."""
    _, h, w = image.shape
    scale = min(height / h, width / w)
    image = _scaled(image, max(1, round(scale * h)), max(1, round(scale * w)))
    _, h, w = image.shape
    top, left = (height - h) // 2, (width - w) // 2
    whole = torch.zeros(len(image), height, width, dtype=torch.uint8)
    whole[:, top : top + h, left : left + w] = image
    return whole


def _scaled(image: Tensor, height: int, width: int) -> Tensor:
    if image.shape[1:] == (height, width):
        return image
    array = image.permute(1, 2, 0).numpy()
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    buffer = np.array(picture.resize((width, height), Image.Resampling.BILINEAR))
    return torch.from_numpy(buffer.reshape(height, width, -1)).permute(2, 0, 1).contiguous()
