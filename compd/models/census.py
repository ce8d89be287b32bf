"""Counting what computes, and leaving out what only moves or converts numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

__all__ = ["Census", "counted", "moves"]

Census = Mapping[str, Mapping[str, int]]  # type that operators compute in -> operator -> how many

# Names of all runtimes in one form: lower case, without underscores.
_MOVES = frozenset(
    {
        "alias",
        "arange",
        "asserttensormetadata",
        "bordered",
        "broadcast",
        "broadcastto",
        "cast",
        "castlike",
        "cat",
        "chunk",
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
        "detach",
        "dropout",
        "dynamicquantizelinear",
        "expand",
        "expanddims",
        "fakequantize",
        "flatten",
        "full",
        "gather",
        "gatherelements",
        "gathernd",
        "getattr",
        "getitem",
        "identity",
        "input",
        "mirrorpad",
        "onehot",
        "ones",
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
        "quantizepertensordynamic",
        "range",
        "reorder",
        "reorderinput",
        "reorderoutput",
        "repeat",
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
        "stack",
        "stridedslice",
        "symsize",
        "t",
        "tile",
        "to",
        "tocopy",
        "transpose",
        "unflatten",
        "unpack",
        "unsqueeze",
        "view",
        "zeros",
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
