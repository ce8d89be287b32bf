"""Figures as a page writes them."""

from __future__ import annotations

from compd.statistics import Share

__all__ = ["at_most", "interval", "of_images", "percent", "points", "span"]


def percent(value: float) -> str:
    """0.9173 -> ``91.7 %``."""
    return f"{100 * value:.1f} %"


def span(share: Share) -> str:
    """The 95 % interval: ``87.1 to 94.8 %``."""
    return f"{100 * share.low:.1f} to {100 * share.high:.1f} %"


def interval(share: Share | None) -> str:
    """A share with its 95 % interval: ``91.7 % (87.1 to 94.8 %)``; a dash if there is none."""
    if share is None or not share.of:
        return "–"
    return f"{percent(share.share)} ({span(share)})"


def of_images(share: Share) -> str:
    """A count, its share and its 95 % interval: ``4 of 160, 2.5 % (1.0 to 6.3 %)``."""
    return f"{share.count} of {share.of}, {interval(share)}"


def at_most(share: Share) -> str:
    """An interval in words: ``at most 2.3 % with 95 % confidence``."""
    if not share.of:
        return "nothing is known"
    if not share.count:
        return f"at most {100 * share.high:.1f} % with 95 % confidence"
    return f"{span(share)} with 95 % confidence"


def points(before: float, after: float) -> str:
    """A change of a share in percentage points: ``+0.3``."""
    change = round(100 * (after - before), 1)
    return f"{change:+.1f}" if change else "0"
