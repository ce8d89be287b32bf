"""Charts as inline SVG: a histogram, and a curve of steps. Colours are those of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

from markupsafe import Markup

from compd.report.page.flips import Bar, Success

__all__ = ["bars", "curve", "strip"]

_WIDE, _HIGH = 460, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 16, 36  # around the plot


def bars(found: Sequence[Bar], *, what: str, unit: str) -> Markup:
    """A histogram.

    Args:
        found: its bars, from left to right.
        what: is counted along the axis.
        unit: of that, behind it.
    """
    ticks = _ticks(max((bar.count for bar in found), default=0))
    top = max(ticks[-1], 1)
    parts = [_grid(ticks, top, str)]
    wide = (_WIDE - _LEFT - _RIGHT) / max(1, len(found))
    for i, bar in enumerate(found):
        if bar.count:
            high = max(1.5, _plot() * bar.count / top)
            x, y = _LEFT + i * wide, _HIGH - _BOTTOM - high
            name = f"{_figure(bar.low)} to {_figure(bar.high)}: {bar.count}"
            parts.append(
                Markup(
                    '<rect class="bar" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
                    "<title>{}</title></rect>"
                ).format(x + 1, y, max(1.0, wide - 2), high, name)
            )
    last = found[-1].high if found else 1.0
    parts += [_label(last * k / 4, last) for k in range(5)]
    total = sum(bar.count for bar in found)
    said = f"{what}, {total} deviations; from {_figure(0)} to {_figure(last)} {unit}".rstrip()
    return _svg(parts, f"{what} {unit}".rstrip(), said)


def curve(success: Success, *, last: float, what: str) -> Markup:
    """Seeds found within a bound, as the bound rises: a share where their number is known.

    Args:
        success: the steps.
        last: where the axis ends; at least as far as the last step.
        what: the axis shows.
    """
    top = max(1, success.seeds)
    last = max([last, *(far for far, _ in success.steps)]) or 1.0
    if success.searched:
        parts = [_grid([0.0, 0.25, 0.5, 0.75, 1.0], 1.0, lambda share: f"{100 * share:.0f} %")]
    else:
        ticks = _ticks(top)
        top = int(max(ticks[-1], 1))
        parts = [_grid(ticks, top, str)]
    points = [(_x(0, last), _y(0, top))]
    for far, count in success.steps:
        points += [(_x(far, last), points[-1][1]), (_x(far, last), _y(count, top))]
    points.append((_x(last, last), points[-1][1]))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    base = f"{_x(last, last):.1f},{_y(0, top):.1f}"
    parts.append(Markup('<polygon class="area" points="{} {}"/>').format(line, base))
    parts.append(Markup('<polyline class="line" points="{}"/>').format(line))
    parts += [_label(last * k / 4, last) for k in range(5)]
    found = success.steps[-1][1] if success.steps else 0
    seeds = f"{found} of {success.seeds} seeds" if success.searched else f"{found} seeds"
    return _svg(parts, what, f"Seeds found by {what}: {seeds} within {_figure(last)}")


def strip(share: float) -> Markup:
    """A bar of a table's cell, as wide as a share of 0..1."""
    wide = 100 * min(1.0, max(0.0, share))
    return Markup(
        '<svg class="strip" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{:.1f}" height="8"/></svg>'
    ).format(wide)


def _plot() -> float:
    return _HIGH - _TOP - _BOTTOM


def _x(value: float, last: float) -> float:
    return _LEFT + (_WIDE - _LEFT - _RIGHT) * value / last


def _y(value: float, top: float) -> float:
    return _HIGH - _BOTTOM - _plot() * value / top


def _ticks(most: float) -> list[float]:
    """Round whole numbers from 0 to at least ``most``, three to six of them."""
    if most < 1:
        return [0, 1]
    step = 10 ** int(log10(most))
    for part in (step // 5, step // 2, step, 2 * step):
        if part >= 1 and most / part <= 5:
            step = part
            break
    return [step * i for i in range(ceil(most / step) + 1)]


def _grid(ticks: Sequence[float], top: float, words: object) -> Markup:
    said = words if callable(words) else str
    lines = [
        Markup(
            '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
            '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(
            _LEFT,
            _WIDE - _RIGHT,
            _y(tick, top),
            _y(tick, top),
            _LEFT - 6,
            _y(tick, top) + 4,
            said(tick),
        )
        for tick in ticks
    ]
    return Markup("").join(lines)


def _label(value: float, last: float) -> Markup:
    return Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        _x(value, last), _HIGH - _BOTTOM + 15, _figure(value)
    )


def _figure(value: float) -> str:
    return f"{value:.3g}"


def _svg(parts: Sequence[Markup], axis: str, said: str) -> Markup:
    below = Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        (_LEFT + _WIDE - _RIGHT) / 2, _HIGH - 4, axis
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(_WIDE, _HIGH, said, Markup("").join(parts), below)
