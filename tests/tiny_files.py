"""The tiny pair as files, as somebody's toolchain would leave them: ONNX, float and QDQ."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from PIL import Image
from tiny import CLASSES, SIZE, tiny_original, tiny_splits

WIDE = (12, 24)  # height and width of images that are not square
# The tiny network normalises by itself; without its first layer a file needs to be told.
MEAN, STD = 0.5, 0.25


def shaped(images: torch.Tensor, sides: tuple[int, int]) -> torch.Tensor:
    """Tiny images repeated and cut to a height and a width of at most twice theirs."""
    return images.repeat(1, 1, 2, 2)[:, :, : sides[0], : sides[1]].contiguous()


class _Batches(CalibrationDataReader):
    def __init__(self, images: torch.Tensor, raw: bool, wide: bool) -> None:
        x = shaped(images, WIDE if wide else (SIZE, SIZE)).float() / 255
        x = x if raw else (x - MEAN) / STD
        self._parts = iter(np.split(x.numpy(), len(x) // 8))

    def get_next(self) -> dict[str, np.ndarray] | None:  # type: ignore[override]
        part = next(self._parts, None)
        return None if part is None else {"image": part}


@cache
def _folder() -> Path:
    return Path(mkdtemp(prefix="compd-tiny-files-"))


@cache
def onnx_files(*, normalised: bool = True, wide: bool = False) -> tuple[Path, Path]:
    """The original and its int8 model by ONNX Runtime's quantiser.

    Args:
        normalised: whether normalisation is part of the files.
        wide: whether they take images that are not square.
    """
    model = tiny_original() if normalised else tiny_original().net
    name = ("wide-" if wide else "") + ("whole" if normalised else "bare")
    original, deployed = (_folder() / f"{name}{kind}.onnx" for kind in ("", ".int8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model.eval(),
            (torch.zeros(1, 3, *(WIDE if wide else (SIZE, SIZE))),),
            str(original),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
        )
    quantize_static(
        original,
        deployed,
        _Batches(tiny_splits().calibration.images[:56], normalised, wide),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return original, deployed


@cache
def photos(*, flat: bool = False, wide: bool = False) -> Path:
    """Images of the tiny data's test part, in class folders or in one; not square if ``wide``."""
    folder = _folder() / (("wide-" if wide else "") + ("flat" if flat else "photos"))
    split = tiny_splits().seeds
    images = shaped(split.images, WIDE if wide else (SIZE, SIZE))
    for i in range(len(split)):
        label = int(split.labels[i])
        where = folder if flat else folder / f"{label}-{CLASSES[label]}"
        where.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[i].permute(1, 2, 0).numpy()).save(where / f"{i:03}.png")
    return folder
