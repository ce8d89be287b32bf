"""Figures of studies as a page writes them: shares can be small, so two digits more."""

from __future__ import annotations

from compd.statistics import Share

__all__ = ["in_percent", "p_value", "points", "range_of"]


def in_percent(value: float | None) -> str:
    """0.0041 -> ``0.41 %``; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.2f} %"


def range_of(share: Share | None) -> str:
    """``0.90 % (0.5 to 1.7)``."""
    if share is None or not share.of:
        return "–"
    return f"{in_percent(share.share)} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def points(change: float | None) -> str:
    """A signed change in percentage points."""
    return "–" if change is None else f"{100 * change:+.2f}"


def p_value(value: float | None) -> str:
    """``< 0.001`` where it is."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
