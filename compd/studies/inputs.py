"""The images of a study, for a device that cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from compd.data import Split
from compd.models.inputs import fitting
from compd.shifts import Frost, Shift, apply_shift

__all__ = ["study_inputs"]

_PART = 256  # images shifted at a time, fewer where they are large


def study_inputs(
    rows: Split,
    shifts: Sequence[Shift],
    *,
    random_seed: int = 0,
    frost: Frost | None = None,
) -> Iterator[Tensor]:
    """Clean images, and all of them under each shift: what a study of the same arguments asks.

    Args:
        rows: clean images.
        shifts: what is done to them.
        random_seed: of the draws.
        frost: photographs for the shift of that name; None for a synthetic texture.

    Yields:
        uint8 (C, H, W).
    """
    yield from rows.images
    size = fitting(_PART, rows.images.shape[1:])
    for shift in shifts:
        for start in range(0, len(rows), size):
            part = rows.images[start : start + size]
            yield from apply_shift(shift, part, random_seed=random_seed, frost=frost)
