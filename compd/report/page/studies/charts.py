"""Charts of studies as inline SVG; colours are those of the style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

from compd.statistics import Share
from compd.text import shortened

__all__ = ["Line", "intervals", "lines", "ticks_to"]

_WIDE = 460
_LETTERS = 24  # of a set's name
_ROW = 17  # height


@dataclass(frozen=True)
class Line:
    """A line of a chart."""

    name: str
    look: str  # of the style sheet: "original", "deployed", "bound"
    points: tuple[tuple[float, float], ...]
    around: tuple[tuple[float, float], ...] = ()  # low and high of each point


@dataclass(frozen=True)
class _Frame:
    """Where the plot is within the picture, and what its axes span."""

    left: float
    top: float
    right: float
    bottom: float
    first: float  # of the x axis
    last: float
    low: float  # of the y axis
    high: float

    def x(self, value: float) -> float:
        far = (value - self.first) / ((self.last - self.first) or 1.0)
        return self.left + (self.right - self.left) * min(max(far, 0.0), 1.0)

    def y(self, value: float) -> float:
        far = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.bottom - (self.bottom - self.top) * min(max(far, 0.0), 1.0)


def ticks_to(most: float, low: float = 0.0) -> list[float]:
    """Round numbers from at most ``low`` to at least ``most``, three to seven of them."""
    span = (most - low) or 1.0
    step = 10.0 ** floor(log10(span))
    step = next(part * step for part in (0.2, 0.5, 1.0, 2.0) if span <= 5.0001 * part * step)
    first = floor(low / step + 1e-9)
    found = [first * step]
    while found[-1] < most - 1e-9 * span:
        found.append((first + len(found)) * step)
    return found


def intervals(rows: Sequence[tuple[str, Share]], base: Share | None, *, what: str) -> Markup:
    """A point with its 95 % interval a row, and a line with its interval from top to bottom.

    Args:
        rows: names and shares, from top to bottom.
        base: of the line, the clean images; None for none.
        what: the axis shows, in percent.
    """
    shares = [share for _, share in rows] + ([] if base is None else [base])
    ticks = ticks_to(max([100 * _within(one.high) for one in shares], default=1.0) or 1.0)
    high = 14 + _ROW * max(1, len(rows)) + 40
    frame = _Frame(156, 10, _WIDE - 14, high - 40, 0.0, ticks[-1], 0.0, 1.0)
    parts = []
    if base is not None and base.of:
        parts.append(
            Markup(
                '<rect class="band" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>'
                '<line class="base" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
            ).format(
                frame.x(100 * base.low),
                frame.top,
                frame.x(100 * base.high) - frame.x(100 * base.low),
                frame.bottom - frame.top,
                frame.x(100 * base.share),
                frame.x(100 * base.share),
                frame.top,
                frame.bottom,
            )
        )
    parts += [_across(frame, tick) for tick in ticks]
    for i, (name, share) in enumerate(rows):
        y = frame.top + _ROW * (i + 0.5) + 2
        parts.append(
            Markup(
                '<text class="name" x="{}" y="{:.1f}" text-anchor="end">{}</text>'
                '<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
                '<circle class="dot deployed" cx="{:.1f}" cy="{:.1f}" r="3.5">'
                "<title>{}</title></circle>"
            ).format(
                frame.left - 8,
                y + 4,
                shortened(name, _LETTERS),
                frame.x(100 * share.low),
                frame.x(100 * share.high),
                y,
                y,
                frame.x(100 * share.share),
                y,
                f"{shortened(name)}: {share.count} of {share.of}",
            )
        )
    said = f"{what}: " + "; ".join(
        f"{shortened(name, _LETTERS)} {100 * share.share:.2f} %" for name, share in rows[:8]
    )
    return _svg(high, parts, frame, what, said)


def lines(
    found: Sequence[Line],
    *,
    x_axis: str,
    y_axis: str,
    ticks: Sequence[float],
    most: float | None = None,
    marks: Sequence[tuple[float, str]] = (),
    levels: Sequence[float] = (),
    diagonal: bool = False,
    reverse: bool = False,
) -> Markup:
    """Lines with points, and a legend above them.

    Args:
        found: the lines.
        x_axis: what it shows.
        y_axis: what it shows, in percent.
        ticks: of the x axis, from its first to its last value.
        most: of the y axis; None for what the lines need.
        marks: upright lines: where, and what they are.
        levels: dashed lines across.
        diagonal: a line from corner to corner, where both axes are the same.
        reverse: the x axis falls from left to right.
    """
    values = [y for line in found for _, y in line.points]
    values += [end for line in found for ends in line.around for end in ends] + [*levels]
    heights = ticks_to(
        most if most is not None else max([*values, 0.0]) or 1.0, min([*values, 0.0])
    )
    ends = (ticks[-1], ticks[0]) if reverse else (ticks[0], ticks[-1])
    frame = _Frame(52, 40, _WIDE - 14, 220, *ends, heights[0], heights[-1])
    parts = [_along(frame, tick) for tick in heights]
    parts += [
        Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            frame.x(tick), frame.bottom + 16, f"{tick:g}"
        )
        for tick in ticks
    ]
    if diagonal:
        parts.append(
            Markup('<line class="base" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                frame.left, frame.right, frame.bottom, frame.top
            )
        )
    for level in levels:
        parts.append(
            Markup('<line class="base" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                frame.left, frame.right, frame.y(level), frame.y(level)
            )
        )
    for at, name in marks:
        x = frame.x(at)
        parts.append(
            Markup(
                '<line class="mark" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
                '<text x="{:.1f}" y="{}">{}</text>'
            ).format(x, x, frame.top, frame.bottom, x + 5, frame.top + 11, name)
        )
    parts += [_drawn(frame, line) for line in found]
    parts.append(_legend(found, y_axis))
    said = f"{y_axis} by {x_axis}: {', '.join(line.name for line in found)}"
    return _svg(258, parts, frame, x_axis, said)


def _drawn(frame: _Frame, line: Line) -> Markup:
    at = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line.points)
    parts = [Markup('<polyline class="line {}" points="{}"/>').format(line.look, at)]
    for (x, _), (low, high) in zip(line.points, line.around, strict=False):
        parts.append(
            Markup(
                '<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>'
            ).format(frame.x(x), frame.x(x), frame.y(low), frame.y(high))
        )
    if line.look != "bound":
        parts += [
            Markup(
                '<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.5"><title>{}</title></circle>'
            ).format(line.look, frame.x(x), frame.y(y), f"{line.name}, {x:g}: {y:.4g} %")
            for x, y in line.points
        ]
    return Markup("").join(parts)


def _legend(found: Sequence[Line], y_axis: str) -> Markup:
    parts = [Markup('<text class="axis" x="4" y="12">{}</text>').format(y_axis)]
    at = 52.0
    for line in found:
        parts.append(
            Markup(
                '<line class="line {}" x1="{:.0f}" x2="{:.0f}" y1="26" y2="26"/>'
                '<text x="{:.0f}" y="30">{}</text>'
            ).format(line.look, at, at + 22, at + 27, line.name)
        )
        at += 40 + 6.2 * len(line.name)
    return Markup("").join(parts)


def _within(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _across(frame: _Frame, tick: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>'
        '<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>'
    ).format(
        *(frame.x(tick), frame.x(tick), frame.top, frame.bottom),
        *(frame.x(tick), frame.bottom + 16, f"{tick:g}"),
    )


def _along(frame: _Frame, tick: float) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="end">{}</text>'
    ).format(
        *(frame.left, frame.right, frame.y(tick), frame.y(tick)),
        *(frame.left - 6, frame.y(tick) + 4, f"{tick:g}"),
    )


def _svg(high: float, parts: Sequence[Markup], frame: _Frame, axis: str, said: str) -> Markup:
    below = Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
        (frame.left + frame.right) / 2, high - 5, axis
    )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(_WIDE, high, said, Markup("").join(parts), below)
