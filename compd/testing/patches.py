"""Structured changes: each a handful of integers, so that Hypothesis can climb and shrink them.

A change of every value on its own would be thousands of draws, of which shrinking could try but a
few. A patch is six, all of them simplest at 0, and a change is a list of patches: shrinking deletes
patches, makes them weaker, and makes squares smaller.

Square Attack (Andriushchenko et al., ECCV 2020) found that convolutional networks are sensitive to
squares of one colour; waves are changes of low frequency, and grains random signs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from compd.search.bounds import Bound

__all__ = ["Patch", "added", "patch_lists"]

_FULL = 1000  # strengths are in thousandths of what the bound allows
_PLACES = 63  # positions and sizes are in 64ths of the image
_KINDS = ("square", "wave", "grain")


@dataclass(frozen=True)
class Patch:
    """One change, whatever the size of the image."""

    strength: int  # thousandths of the bound, signed
    kind: str
    size: int  # of a square: its side, 0.._PLACES; of a wave: its frequency; of a grain: its cells
    place: tuple[int, int]  # a square's position; a wave's direction and phase; a grain's key
    colours: int  # bit c: whether channel c goes the other way

    def __str__(self) -> str:
        return f"{self.kind} {self.strength / _FULL:+.3f}"

    def pattern(self, shape: torch.Size) -> Tensor:
        """The change at full strength, float32 (C, H, W) in −1..1."""
        channels, height, width = shape
        first, second = self.place
        if self.kind == "square":
            side = max(1, round((self.size + 1) / (_PLACES + 1) * max(height, width)))
            rows, columns = min(side, height), min(side, width)
            top = first * (height - rows) // _PLACES
            left = second * (width - columns) // _PLACES
            plane = torch.zeros(height, width)
            plane[top : top + rows, left : left + columns] = 1
        elif self.kind == "wave":
            angle, phase = (math.pi * n / (_PLACES + 1) for n in self.place)
            y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
            along = math.cos(angle) * x + math.sin(angle) * y
            plane = torch.cos(math.pi * self.size / 8 * along + 2 * phase)
        else:
            cell = 1 + self.size // 16  # 1 to 4 pixels
            draw = np.random.Generator(np.random.Philox(key=first * (_PLACES + 1) + second))
            coarse = draw.integers(0, 2, (-(-height // cell), -(-width // cell))) * 2 - 1
            fine = coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width]
            plane = torch.from_numpy(fine).float()
        signs = [-1.0 if self.colours >> c & 1 else 1.0 for c in range(channels)]
        return plane * torch.tensor(signs)[:, None, None]


@st.composite
def patch_lists(draw: st.DrawFn, most: int) -> list[Patch]:
    """Up to ``most`` patches; none is the simplest."""
    place = st.integers(0, _PLACES)
    one = st.builds(
        Patch,
        st.integers(-_FULL, _FULL),
        st.sampled_from(_KINDS),
        place,
        st.tuples(place, place),
        st.integers(0, 7),
    )
    return draw(st.lists(one, max_size=most))


def added(chosen: list[Patch], seed: Tensor, bound: Bound) -> Tensor:
    """The sum of patches, float32 (C, H, W) in levels, each at its share of the bound.

    Args:
        chosen: what to add up.
        seed: uint8 (C, H, W).
        bound: whose full reach each patch may use.
    """
    change = torch.zeros(seed.shape)
    reach = 255.0 if bound.eps is None else float(bound.eps)
    for patch in chosen:
        pattern = patch.pattern(seed.shape)
        length = float(pattern.norm()) if bound.norm == "l2" else 1.0
        change += patch.strength / _FULL * reach / max(length, 1e-12) * pattern
    return change
