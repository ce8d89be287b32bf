"""What makes a pair's clean figures mean little, though nothing is broken: said by name."""

from __future__ import annotations

from compd.pair.evaluation import Evaluation
from compd.wording import setting

__all__ = ["stretched"]


def stretched(seen: Evaluation) -> list[str]:
    """That images were stretched to the model's shape, where nobody said how to scale them."""
    split = seen.split
    count = 0 if split.stretched is None else int(split.stretched.sum())
    if not count:
        return []
    height, width = split.images.shape[2:]
    ways = f"{setting('resize', 'crop')} (the centre) or {setting('resize', 'pad')}"
    return [
        f"{count} of {len(split)} images are not of the model's aspect ratio ({width}x{height}) "
        f"and were stretched; pass {ways}, or {setting('resize', 'stretch')} if it was trained so"
    ]
