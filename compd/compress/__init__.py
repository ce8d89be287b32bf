"""Compression: frozen configurations to shadows."""

from compd.compress.base import Family, Tuning, fine_tuning
from compd.compress.distil import Distilled
from compd.compress.families import (
    COMPRESSIONS,
    RECIPE,
    Compression,
    Given,
    code_of,
    config_from_json,
    config_to_json,
    empty_shadow,
    kind_of,
    make_shadow,
    starts,
    tuning_of,
    units_correspond,
)
from compd.compress.prune import Prune
from compd.compress.ptq import Ptq
from compd.compress.qat import Qat

__all__ = [
    "COMPRESSIONS",
    "RECIPE",
    "Compression",
    "Distilled",
    "Family",
    "Given",
    "Prune",
    "Ptq",
    "Qat",
    "Tuning",
    "code_of",
    "config_from_json",
    "config_to_json",
    "empty_shadow",
    "fine_tuning",
    "kind_of",
    "make_shadow",
    "starts",
    "tuning_of",
    "units_correspond",
]
