"""Shifts: named corruptions of images, each with a severity.

    apply_shift     shift a batch of images
    parse_shift     a shift of ``fog:3``
    parse_shifts    shifts of ``cifar10-c,awgn:0.2``
    published_sets  the published arrays of CIFAR-10-C or MNIST-C
    read_frost      photographs for the kind ``frost``
    shown           a shift as people read it
    SHIFTS          the kinds by name

Each kind maps uint8 to uint8, and draws for each image alone.
"""

from compd.shifts.applying import apply_shift
from compd.shifts.base import Batch, Draws, Frost, Kind, Pixels, Shift
from compd.shifts.kinds import SHIFTS
from compd.shifts.naming import check_packages, groups, kind_of, parse_shift, parse_shifts, shown
from compd.shifts.photographs import read_frost
from compd.shifts.published import PublishedSet, published_sets

__all__ = [
    "SHIFTS",
    "Batch",
    "Draws",
    "Frost",
    "Kind",
    "Pixels",
    "PublishedSet",
    "Shift",
    "apply_shift",
    "check_packages",
    "groups",
    "kind_of",
    "parse_shift",
    "parse_shifts",
    "published_sets",
    "read_frost",
    "shown",
]
