"""Compression: frozen configurations to shadows."""

from compd.compress.base import Family, Tuning, fine_tuning
from compd.compress.families import (
    COMPRESSIONS,
    RECIPE,
    Compression,
    Given,
    config_from_json,
    config_to_json,
    empty_shadow,
    kind_of,
    make_shadow,
    starts,
    tuning_of,
)
from compd.compress.prune import Prune
from compd.compress.ptq import Ptq
from compd.compress.qat import Qat

__all__ = [
    "COMPRESSIONS",
    "RECIPE",
    "Compression",
    "Family",
    "Given",
    "Prune",
    "Ptq",
    "Qat",
    "Tuning",
    "config_from_json",
    "config_to_json",
    "empty_shadow",
    "fine_tuning",
    "kind_of",
    "make_shadow",
    "starts",
    "tuning_of",
]
