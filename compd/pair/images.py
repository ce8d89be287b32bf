"""Images as a caller has them: a tensor, rows of a data set, a data set, or its name."""

from __future__ import annotations

from typing import TypeAlias

import torch
from torch import Tensor

from compd.data import UNKNOWN, Dataset, Split, Splits, load_data, named_for
from compd.errors import SettingError
from compd.images import check_batch
from compd.pair.pair import Pair

__all__ = ["Images", "as_split"]

Images: TypeAlias = Tensor | Split | Splits | Dataset | str


def as_split(images: Images, pair: Pair, labels: Tensor | None = None) -> Split:
    """Rows to search from, or to look at.

    Args:
        images: uint8 (N, C, H, W); rows; or a data set or its name, whose seed rows are taken. Of a
            pair that nothing was trained for here, these are all rows but the few that set ranges.
        pair: that they are for.
        labels: int64 (N,), of a tensor's images; None if nobody labelled them.

    Raises:
        CompdError: if they are none of these, or there is no such data set.
    """
    if labels is not None and not isinstance(images, Tensor):
        raise SettingError(
            f"expected labels with a tensor of images alone, got them with {type(images).__name__}"
            ", which has its own"
        )
    if isinstance(images, str):
        model = pair.spec.model
        images = load_data(
            images,
            channels=model.channels or 3,
            size=model.size or None,
            resize=pair.spec.resize or None,
            unlabelled=not pair.rebuilds,
        )
    if isinstance(images, Dataset):
        images = named_for(images, len(pair.classes), names=pair.classes)
        images = Splits(images, trains=pair.rebuilds)
    if isinstance(images, Splits):
        return images.seeds
    if isinstance(images, Split):
        return images
    if not isinstance(images, Tensor):
        raise SettingError(
            "expected images as a uint8 tensor (N, C, H, W), a split, a data set or its name, got "
            f"{type(images).__name__}"
        )
    check_batch(images, "images")
    count = len(images)
    if not count:
        raise SettingError("expected at least one image, got none")
    if labels is None:
        labels = torch.full((count,), UNKNOWN)
    if labels.shape != (count,):
        raise SettingError(
            f"expected one label an image, got {tuple(labels.shape)} for {count} images"
        )
    return Split("images", "images", "images", 0, images, labels, torch.arange(count), False)
