"""What the strategies draw: an image that knows which clean image it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from torch import Tensor

from compd.images import Distances, distances, pixel_hash

if TYPE_CHECKING:
    from hypothesis.vendor.pretty import RepresentationPrinter

__all__ = ["Candidate"]


@dataclass(frozen=True, eq=False, repr=False)
class Candidate:
    """An image and its seed. Printed, it says where it is from and how far, and shows no pixels."""

    image: Tensor  # uint8 (C, H, W)
    seed: Tensor  # uint8 (C, H, W), the clean image
    data: str  # name of the data set that the seed is from
    row: str  # which row of it, for example "test[12]"
    true_label: int | None = None  # what the data set says of the seed; None if it does not
    how: str = ""  # what was done to the seed
    eps: int | None = None  # bound that the image keeps, as in :class:`compd.search.Bound`
    norm: str = "linf"

    def moved(self, image: Tensor, how: str, *, eps: int | None, norm: str = "linf") -> Candidate:
        """The same seed with another image, uint8 (C, H, W)."""
        return replace(self, image=image, how=how, eps=eps, norm=norm)

    @cached_property
    def sha256(self) -> str:
        """Of the image's pixels, as file names in a corpus have it."""
        return pixel_hash(self.image)

    @cached_property
    def seed_sha256(self) -> str:
        """Of the seed's pixels."""
        return pixel_hash(self.seed)

    @property
    def changed(self) -> int:
        """How many pixels differ from the seed's; a pixel is a position with all its channels."""
        return int((self.image != self.seed).any(0).sum())

    @cached_property
    def distances(self) -> Distances:
        """To the seed; each of its fields has one element."""
        return distances(self.image[None], self.seed[None])

    @property
    def distance(self) -> str:
        """The same, for people."""
        if not self.changed:
            return f"unchanged {self.row} of {self.data}"
        far, pixels = self.distances, self.image[0].numel()
        return (
            f"{self.changed} of {pixels} pixels of {self.row} of {self.data}, "
            f"Linf {int(far.linf)}/255, L2 per pixel {float(far.l2):.5f}"
        )

    def __repr__(self) -> str:
        how = f", {self.how}" if self.how and self.changed else ""
        return f"<{self.distance}{how}, {self.sha256[:12]}>"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:
        """What Hypothesis and IPython print, who would show all fields of a dataclass."""
        printer.text(repr(self))
