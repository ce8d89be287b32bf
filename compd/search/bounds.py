"""How far a candidate may be from its seed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from compd.errors import SettingError, unknown
from compd.wording import setting

__all__ = ["NORMS", "Bound"]

NORMS = ("linf", "l2")
_GOLDEN = 0.6180339887498949
_HALVINGS = 12


@dataclass(frozen=True)
class Bound:
    """A ball around each seed, cut to the lattice.

    Raises:
        CompdError: if the norm is unknown or the radius makes no sense.
    """

    eps: int | None = None  # radius in levels of 255; None for the whole lattice
    norm: str = "linf"  # or "l2": the Euclidean length of the change, over all values

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)
        if self.eps is None and self.norm != "linf":
            raise SettingError(
                f"eps with norm={self.norm!r}", eps=None, advice=f"pass {setting('eps')}"
            )
        if self.eps is not None and self.eps % 1 != 0:
            raise SettingError("eps in whole levels of 255", eps=self.eps)
        if self.eps is not None and self.eps < 1:
            raise SettingError("eps >= 1 (levels of 255)", eps=self.eps)
        if self.eps is not None and self.norm == "linf" and self.eps > 255:
            raise SettingError("eps in 1..255 (levels of 255)", eps=self.eps)

    def nearest(self, places: Tensor, seeds: Tensor) -> Tensor:
        """Move places between the lattice's points into the ball, by the shortest way.

        Args:
            places: float32 (N, ...), in levels.
            seeds: uint8, of the same shape.

        Returns:
            float32 of that shape.
        """
        places = places.clamp(0, 255)
        if self.eps is None:
            return places
        centre = seeds.float()
        change = places - centre
        if self.norm == "linf":
            return centre + change.clamp_(-self.eps, self.eps)
        share = self.eps / _lengths(change).clamp(min=self.eps)
        return centre + change * share.to(change.dtype)

    def clip(self, images: Tensor, seeds: Tensor) -> Tensor:
        """Move candidates onto the lattice and into the ball; those there stay as they are.

        Args:
            images: any real dtype (N, C, H, W), in levels; fractions are rounded first.
            seeds: uint8 (N, C, H, W).

        Returns:
            uint8 (N, C, H, W).
        """
        if images.is_floating_point():
            images = images.round()
        moved = images.clamp(0, 255).to(torch.int16)
        if self.eps is None:
            return moved.to(torch.uint8)
        if self.norm == "linf":
            low, high = self.box(seeds)
            return torch.minimum(torch.maximum(moved, low), high).to(torch.uint8)
        wide = seeds.to(torch.int16)
        change = moved - wide
        far = (_lengths(change).flatten() > self.eps).nonzero()[:, 0]
        if len(far):
            change[far] = _shrunk(change[far], self.eps)
        return (wide + change).to(torch.uint8)

    def box(self, seeds: Tensor) -> tuple[Tensor, Tensor]:
        """The lowest and highest values that a search may sensibly try.

        Under L2, that is where a few values go if the others stay: three times as far as all of
        them could go. :meth:`clip` has the last word.

        Args:
            seeds: uint8 (N, C, H, W).

        Returns:
            Two uint8 tensors of that shape.
        """
        if self.eps is None:
            return torch.zeros_like(seeds), torch.full_like(seeds, 255)
        reach = self.eps
        if self.norm == "l2":
            reach = max(1, round(3 * self.eps / seeds[0].numel() ** 0.5))
        wide = seeds.to(torch.int16)
        low, high = (wide - reach).clamp_(min=0), (wide + reach).clamp_(max=255)
        return low.to(torch.uint8), high.to(torch.uint8)


def _lengths(change: Tensor) -> Tensor:
    """(N, 1, ...) Euclidean lengths."""
    length: Tensor = change.flatten(1).double().norm(dim=1)
    return length.view(-1, *[1] * (change.dim() - 1))


def _shrunk(change: Tensor, eps: int) -> Tensor:
    """Changes that are too long, scaled by the largest share that brings them into the ball.

    Where a scaled value lies between two levels, a fixed pattern over the positions decides:
    plain rounding would take a change of one level everywhere to nothing at once.
    """
    pattern = (torch.arange(change[0].numel()) * _GOLDEN % 1).view(change.shape[1:])
    size, sign = change.abs().float(), change.sign()
    low = torch.zeros(len(change), *[1] * (change.dim() - 1))
    high = torch.ones_like(low)
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        fits = _lengths((size * share + pattern).floor()) <= eps
        low, high = torch.where(fits, share, low), torch.where(fits, high, share)
    return (size * low + pattern).floor().to(change.dtype) * sign
