"""What the eighth bit of activations costs where images are shifted.

A grid of 8 bits is finer within the calibrated ranges, and ends with them; PyTorch's kernels with 7
bits hold twice the range. So a start with 8 bits is nearer to the original on clean images, and may
be farther from it where activations leave their ranges: under strong noise, for example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.data import Split
from compd.models.inputs import predict
from compd.pair import Pair
from compd.shifts import apply_shift, parse_shifts
from compd.statistics import mcnemar

__all__ = ["STRONG", "ShiftLook", "held_under_shift"]

STRONG = "awgn:0.3,contrast:5,fog:5"
_ROWS = 200  # selection images, each under each of these shifts
_LEAST_SIDE = 8  # of images that can be shifted, pixels
_LEVEL = 0.05


@dataclass(frozen=True)
class ShiftLook:
    """A pair, and a start of its with activations of 8 bits, on shifted selection images."""

    start: str  # its number and its compression
    shifts: tuple[str, ...]
    images: int  # selection images, each under each shift
    before: tuple[int, ...]  # of these, under each shift: the pair leaves the original's answer
    after: tuple[int, ...]  # the start does
    only_before: int  # over all shifts
    only_after: int
    p_value: float  # McNemar's exact test of these two
    taken: bool  # False: it is worse by more than chance, so training did not start from it

    def __str__(self) -> str:
        told = ", ".join(
            f"{shift} {before} → {after}"
            for shift, before, after in zip(self.shifts, self.before, self.after, strict=True)
        )
        end = "not worse beyond chance" if self.taken else "worse, so not started from"
        return (
            f"{self.start} under shifts, of {self.images} selection images that differ from the "
            f"original: {told} (p {self.p_value:.2g}); {end}"
        )


def held_under_shift(
    pair: Pair,
    starts: Sequence[Pair],
    selection: Split,
    *,
    random_seed: int = 0,
    control: Control = QUIET,
) -> tuple[list[Pair], tuple[ShiftLook, ...]]:
    """Leave out starts that got more bits for activations and are worse under strong shifts.

    Args:
        pair: as it was made.
        starts: pairs of the same original.
        selection: images that nothing is trained on.
        random_seed: of the shifts' draws.
        control: asked whether to stop.

    Returns:
        The starts that are left, in order, and what was seen of those with more bits.

    Raises:
        Stopped: if it was told to stop.
    """
    finer = [one for one in starts if _bits(one) > _bits(pair)]
    if not finer or min(selection.images.shape[2:]) < _LEAST_SIDE:
        return list(starts), ()
    images = selection.images[:_ROWS]
    shifts = parse_shifts(STRONG)
    shifted = [apply_shift(shift, images, random_seed=random_seed) for shift in shifts]
    answers = [predict(pair.reference.run, one).argmax(1) for one in shifted]

    def differs(one: Pair) -> Tensor:
        control.check()
        said = [predict(one.deployed.run, some).argmax(1) for some in shifted]
        return torch.stack([x != y for x, y in zip(said, answers, strict=True)])

    before = differs(pair)  # (shifts, images)
    looks, left = [], []
    for number, one in enumerate(starts, 1):
        taken = True
        if one in finer:
            after = differs(one)
            fewer, more = int((before & ~after).sum()), int((after & ~before).sum())
            # the shifted forms of one image are no images of their own: each image counts once
            change = after.sum(0) - before.sum(0)
            p_value = mcnemar(int((change < 0).sum()), int((change > 0).sum()))
            taken = more <= fewer or p_value >= _LEVEL
            looks.append(
                ShiftLook(
                    start=f"start {number} ({one.spec.compress})",
                    shifts=tuple(map(str, shifts)),
                    images=len(images),
                    before=tuple(before.sum(1).tolist()),
                    after=tuple(after.sum(1).tolist()),
                    only_before=fewer,
                    only_after=more,
                    p_value=p_value,
                    taken=taken,
                )
            )
        if taken:
            left.append(one)
    return left, tuple(looks)


def _bits(pair: Pair) -> int:
    """Of the activations; 0 where there are none."""
    return int(getattr(pair.spec.compress, "activation_bits", 0))
