"""Images as a caller has them: a batch, rows of a data set, a data set, or its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compd.data import UNKNOWN, Dataset, Split, Splits, load_data, named_for
from compd.errors import SettingError, check_kind
from compd.pair.arrays import Batch, lattice
from compd.pair.pair import Pair

__all__ = ["MAKE_PAIR", "Images", "Labels", "as_split", "as_splits"]

MAKE_PAIR = "make one of two models: compd.Pair.from_modules(original, deployed, example=images)"

Images: TypeAlias = Batch | Split | Splits | Dataset | str | Path
Labels: TypeAlias = Tensor | NDArray[Any] | Sequence[int]


def as_splits(images: Images, pair: Pair) -> Images:
    """The splits of a data set, its name or its folder; anything else as it is."""
    if isinstance(images, str | Path):
        model = pair.spec.model
        images = load_data(
            str(images),
            channels=model.channels or 3,
            size=model.size or None,
            resize=pair.spec.resize or None,
            unlabelled=not pair.rebuilds,
        )
    if isinstance(images, Dataset):
        images = named_for(images, len(pair.classes), names=pair.classes)
        images = Splits(images, trains=pair.rebuilds)
    return images


def as_split(images: Images, pair: Pair, labels: Labels | None = None) -> Split:
    """Rows to search from, or to look at.

    Args:
        images: uint8 (N, C, H, W), or what else can be meant one way only
            (:func:`compd.pair.arrays.lattice`); rows; or a data set, its name or its folder, whose
            seed rows are taken. Of a pair that nothing was trained for here, these are all rows but
            the few that set ranges.
        pair: that they are for.
        labels: whole numbers (N,), of a batch; None if nobody labelled it.

    Raises:
        CompdError: if they are none of these, or there is no such data set.
    """
    check_kind("pair", pair, Pair, advice=MAKE_PAIR)
    of_data = isinstance(images, Split | Splits | Dataset | str | Path)
    if labels is not None and of_data:
        raise SettingError(
            f"expected labels with a tensor of images alone, got them with {type(images).__name__}"
            ", which has its own"
        )
    images = as_splits(images, pair)
    if isinstance(images, Splits):
        return images.seeds
    if isinstance(images, Split):
        return images
    batch = lattice(images, pair.spec.model.shape)
    count = len(batch)
    if not count:
        raise SettingError("expected at least one image, got none")
    known = torch.full((count,), UNKNOWN) if labels is None else _labels(labels, count, pair)
    return Split("images", "images", "images", 0, batch, known, torch.arange(count), False)


def _labels(labels: Labels, count: int, pair: Pair) -> Tensor:
    """Labels as int64 (N,), each of a class or of none."""
    try:
        found = torch.as_tensor(np.asarray(labels) if not isinstance(labels, Tensor) else labels)
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"expected labels as whole numbers, got {type(labels).__name__} of something else"
        ) from error
    if found.shape != (count,):
        raise SettingError(
            f"expected one label an image, got {tuple(found.shape)} for {count} images"
        )
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise SettingError(f"expected labels as whole numbers, got labels={found.dtype}")
    known = found.cpu().long()
    low, high, classes = int(known.min()), int(known.max()), len(pair.classes)
    if not UNKNOWN <= low <= high < classes:
        raise SettingError(
            f"expected labels in 0..{classes - 1} (or {UNKNOWN} for none), got {low}..{high}"
        )
    return known
