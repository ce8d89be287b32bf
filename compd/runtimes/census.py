"""Counting what computes, and leaving out what only moves or converts numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from compd.runtimes.base import Census

__all__ = ["counted", "moves"]

# Names of all runtimes in one form: lower case, without underscores.
_MOVES = frozenset(
    {
        "asserttensormetadata",
        "broadcast",
        "broadcastto",
        "cast",
        "castlike",
        "cat",
        "clone",
        "concat",
        "concatenation",
        "const",
        "constant",
        "constantofshape",
        "constantpadnd",
        "contiguous",
        "convert",
        "delegate",
        "depthtospace",
        "dequantize",
        "dequantizeaffine",
        "dequantizelinear",
        "dequantizeperchannel",
        "dequantizepertensor",
        "dropout",
        "dynamicquantizelinear",
        "expand",
        "expanddims",
        "fakequantize",
        "flatten",
        "gather",
        "gatherelements",
        "gathernd",
        "getattr",
        "getitem",
        "identity",
        "input",
        "mirrorpad",
        "onehot",
        "output",
        "pack",
        "pad",
        "padv2",
        "parameter",
        "permute",
        "quantize",
        "quantizeaffine",
        "quantizelinear",
        "quantizeperchannel",
        "quantizepertensor",
        "range",
        "reorder",
        "reorderinput",
        "reorderoutput",
        "reshape",
        "result",
        "scatterelements",
        "scatternd",
        "select",
        "shape",
        "shapeof",
        "size",
        "slice",
        "spacetodepth",
        "split",
        "splitv",
        "splitwithsizes",
        "squeeze",
        "stridedslice",
        "t",
        "tile",
        "to",
        "tocopy",
        "transpose",
        "unpack",
        "unsqueeze",
        "view",
    }
)


def moves(operator: str) -> bool:
    """Whether an operator of any runtime computes nothing: layout, conversions, shapes."""
    return operator.replace("_", "").lower() in _MOVES


def counted(operators: Iterable[tuple[str, str]]) -> Census:
    """Count pairs of the type that an operator computes in and its name, those that compute."""
    counts: dict[str, Counter[str]] = {}
    for kind, name in operators:
        if not moves(name):
            counts.setdefault(kind, Counter())[name] += 1
    return {kind: dict(sorted(found.items())) for kind, found in counts.items()}
