"""Compression: frozen configurations to shadows."""

from compd.compress.configs import (
    COMPRESSIONS,
    Compression,
    Given,
    Prune,
    Ptq,
    Qat,
    config_from_json,
    config_to_json,
    kind_of,
)
from compd.compress.shadows import RECIPE, empty_shadow, make_shadow

__all__ = [
    "COMPRESSIONS",
    "RECIPE",
    "Compression",
    "Given",
    "Prune",
    "Ptq",
    "Qat",
    "config_from_json",
    "config_to_json",
    "empty_shadow",
    "kind_of",
    "make_shadow",
]
