"""Shifts by name: ``fog:3``, ``fog``, and groups such as ``cifar10-c``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from compd.errors import SettingError, require_extra, unknown
from compd.shifts.base import Frost, Kind, Shift
from compd.shifts.kinds import SHIFTS

__all__ = ["check_packages", "groups", "kind_of", "parse_shift", "parse_shifts", "shown"]


def groups() -> dict[str, tuple[str, ...]]:
    """The names of the kinds of each group, in the table's order."""
    found: dict[str, tuple[str, ...]] = {}
    for name, kind in SHIFTS.items():
        for group in kind.groups:
            found[group] = (*found.get(group, ()), name)
    return found


def kind_of(shift: Shift) -> Kind:
    """The kind of a shift.

    Raises:
        SettingError: if there is no such kind, or it has no such level.
    """
    if shift.kind not in SHIFTS:
        raise unknown("shift", shift.kind, SHIFTS)
    kind = SHIFTS[shift.kind]
    if shift.severity != 0 and not kind.takes(shift.severity):
        raise SettingError(f"{_levels(kind)} for {shift.kind}", severity=shift.severity)
    return kind


def check_packages(shifts: Sequence[Shift]) -> None:
    """Raise, before anything is computed, if a shift needs a package that is not installed.

    Raises:
        UnavailableError: then; names the extra.
    """
    for package in {kind_of(one).package: None for one in shifts}:
        if package:
            require_extra(package, "study")


def parse_shift(text: str) -> Shift:
    """Read ``fog:3`` or ``awgn:0.2``.

    Raises:
        SettingError: if the kind is unknown, no level is named, or the kind has no such level.
    """
    name, level = _parted(text)
    if level is None:
        if name not in SHIFTS:
            raise unknown("shift", name, SHIFTS)
        raise SettingError(f"KIND:LEVEL, with {_levels(SHIFTS[name])}", shift=text)
    shift = Shift(name, level)
    kind_of(shift)
    return shift


def parse_shifts(text: str, *, severities: Sequence[float] = (1, 3, 5)) -> tuple[Shift, ...]:
    """Read kinds and groups, each with or without a level: ``cifar10-c,awgn:0.2``.

    Args:
        text: what to read; the order is kept, and what comes twice is taken once.
        severities: of kinds that have severities 1 to 5, where the text has no level. Other kinds
            take all their levels.

    Raises:
        SettingError: if a name is neither of a kind nor of a group, or a level is none of it.
    """
    shifts: list[Shift] = []
    for part in text.split(","):
        name, level = _parted(part)
        members = groups()
        kinds = members.get(name, (name,))
        if name not in members and name not in SHIFTS:
            raise unknown("shift", name, [*members, *SHIFTS])
        for kind in kinds:
            levels = _taken(SHIFTS[kind], severities) if level is None else (level,)
            shifts += [Shift(kind, each) for each in levels]
    for shift in shifts:
        kind_of(shift)
    return tuple(dict.fromkeys(shifts))


def shown(shift: Shift, frost: Frost | None = None) -> str:
    """What people read: frost without photographs is said to be synthetic."""
    synthetic = shift.kind == "frost" and frost is None
    return f"frost (synthetic):{shift.severity:g}" if synthetic else str(shift)


def _taken(kind: Kind, severities: Sequence[float]) -> tuple[float, ...]:
    return tuple(severities) if kind.graded else kind.levels


def _parted(text: str) -> tuple[str, float | None]:
    name, colon, level = text.strip().partition(":")
    if not colon:
        return name, None
    try:
        number = float(level)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingError("KIND:LEVEL, such as fog:3", shift=text)
    return name, number


def _levels(kind: Kind) -> str:
    if kind.limits is None:
        return f"{kind.unit} {', '.join(f'{level:g}' for level in kind.levels)}"
    low, high = kind.limits
    what = "a whole number" if kind.whole else "a number"
    above = "above" if low == 0 else "from"
    to = "up to" if low == 0 else "to"
    return f"{what} {above} {low:g} {to} {high:g} ({kind.unit})"
