"""Pictures of findings that a person can look at: seed, deviation, difference, both answers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from compd.corpus import Corpus
from compd.corpus.records import Record
from compd.errors import CompdError, InputError, SettingError
from compd.report.sentence import shift_of
from compd.search.findings import Answer

__all__ = ["Sheet", "amplified", "contact_sheet", "enlarged", "factor_of", "show_entries"]

_SIDE = 192  # of each picture, pixels
_TEXT = 300  # width of the answers
_GAP = 16
_LETTERS, _CLASSES = 60, 3  # of a text, of an answer: what is further is beyond the picture
_HEAD = 26  # caption above the pictures
_INK, _GREY, _PAPER = (28, 28, 30), (110, 110, 115), (255, 255, 255)
_BLUE, _RED = (66, 110, 180), (196, 64, 52)


def contact_sheet(entries: Sequence[tuple[Record, Tensor, Tensor]]) -> Image.Image:
    """Draw one row an entry: seed, deviation, amplified difference, both models' top answers.

    Args:
        entries: (record, uint8 (C, H, W) image, uint8 (C, H, W) seed image).

    Returns:
        An RGB picture.
    """
    row = _HEAD + _SIDE + 2 * _GAP
    width = 3 * (_SIDE + _GAP) + _GAP + _TEXT
    sheet = Image.new("RGB", (width, row * len(entries)), _PAPER)
    for i, (record, image, seed) in enumerate(entries):
        _draw_row(sheet, i * row + _GAP, record, image, seed)
    return sheet


@dataclass(frozen=True)
class Sheet:
    """A picture of entries."""

    png: bytes
    records: tuple[Record, ...]  # that it shows
    left_out: Mapping[str, str]  # hash -> why


def show_entries(corpus: Corpus, entry: str | None = None, count: int = 4) -> Sheet:
    """Draw one entry, or the most severe of several seeds.

    Args:
        corpus: the corpus.
        entry: the start of a hash; None for the most severe, one a seed: others look the same.
        count: how many of these.

    Raises:
        CompdError: if there is nothing that can be shown.
    """
    if count < 1:
        raise SettingError("at least one entry to show", count=count)
    if entry is not None:
        records = [corpus.find(entry)]
    else:
        best: dict[str, Record] = {}
        for record in corpus.by_severity():
            best.setdefault(record.seed_sha256, record)
        records = list(best.values())[:count]
    where = str(corpus.directory)
    if not records:
        raise InputError(f"expected entries to show, got an empty corpus: {where!r}")
    entries, left_out = [], {}
    for record in records:
        try:
            entries.append((record, corpus.image(record), corpus.seed_image(record)))
        except CompdError as error:
            if len(records) == 1:
                raise
            left_out[record.sha256] = str(error)
    if not entries:
        raise InputError(f"expected pictures to show, got damaged ones only in {where!r}")
    buffer = io.BytesIO()
    contact_sheet(entries).save(buffer, "PNG")
    return Sheet(buffer.getvalue(), tuple(record for record, _, _ in entries), left_out)


def factor_of(image: Tensor, seed: Tensor) -> int:
    """By how much the difference of two images can be amplified around mid-grey.

    Args:
        image: uint8 (C, H, W).
        seed: uint8 (C, H, W).

    Raises:
        CompdError: if they differ in size.
    """
    if image.shape != seed.shape:
        raise InputError(
            f"expected a deviation of the size of its seed, got {tuple(image.shape)} and "
            f"{tuple(seed.shape)}; it cannot be shown"
        )
    apart = np.maximum(image.numpy(), seed.numpy()) - np.minimum(image.numpy(), seed.numpy())
    return max(1, 120 // max(1, int(apart.max(initial=0))))


def amplified(image: Image.Image, seed: Image.Image, factor: int) -> Image.Image:
    """The difference of two pictures around mid-grey; made small before, it takes less memory."""
    delta = np.asarray(image, np.int16) - np.asarray(seed, np.int16)
    return Image.fromarray(np.clip(128 + factor * delta, 0, 255).astype(np.uint8))


def _draw_row(sheet: Image.Image, top: int, record: Record, image: Tensor, seed: Tensor) -> None:
    draw = ImageDraw.Draw(sheet)
    factor = factor_of(image, seed)
    small = [enlarged(seed, _SIDE), enlarged(image, _SIDE)]
    captions = (
        f"seed {record.seed_row[:_LETTERS]}",
        shift_of(record.strategy) or f"deviation, Linf {record.linf}/255",
        f"difference x{factor}",
    )
    pictures = [*small, amplified(small[1], small[0], factor)]
    for k, (caption, picture) in enumerate(zip(captions, pictures, strict=True)):
        left = _GAP + k * (_SIDE + _GAP)
        draw.text((left, top), caption, fill=_GREY, font=_font(14))
        sheet.paste(picture, (left, top + _HEAD))
    left = 3 * (_SIDE + _GAP) + _GAP
    draw.text(
        (left, top),
        f"severity {record.severity:.2f}   {record.sha256[:12]}",
        fill=_GREY,
        font=_font(14),
    )
    _draw_answer(draw, left, top + _HEAD, "original", record.original, _BLUE)
    _draw_answer(
        draw,
        left,
        top + _HEAD + _SIDE // 2 + 4,
        "deployed",
        record.deployed,
        _RED if record.deployed.label != record.original.label else _BLUE,
    )


def _draw_answer(
    draw: ImageDraw.ImageDraw,
    left: int,
    top: int,
    who: str,
    answer: Answer,
    colour: tuple[int, int, int],
) -> None:
    draw.text((left, top), f"{who}: {answer.name[:_LETTERS]}", fill=_INK, font=_font(16))
    for k, (name, p) in enumerate(answer.top[:_CLASSES]):
        y = top + 24 + k * 20
        draw.rectangle(
            (left, y + 2, left + max(1, round(110 * p)), y + 15),
            fill=colour if k == 0 else (190, 190, 196),
        )
        draw.text((left + 118, y), f"{p:6.1%}  {name[:_LETTERS]}", fill=_INK, font=_font(14))


def enlarged(image: Tensor, side: int) -> Image.Image:
    """A uint8 (C, H, W) image as an RGB picture whose longer side has so many pixels."""
    array = image.numpy().transpose(1, 2, 0)
    longer = max(array.shape[:2])
    high, wide = (max(1, round(side * n / longer)) for n in array.shape[:2])
    picture = Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array))
    return picture.convert("RGB").resize((wide, high), Image.Resampling.NEAREST)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
