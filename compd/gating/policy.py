"""What a gate lets pass: flags, and the table ``[tool.compd.gate]`` of ``pyproject.toml``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from compd.errors import CompdError, SettingError, unknown
from compd.files.project import compd_table, find_project, read_project
from compd.search import STRATEGIES
from compd.search.settings import GOALS
from compd.shifts import parse_shift

__all__ = ["KNOWN_BY", "Policy", "find_policy", "read_shift_limits"]

KNOWN_BY = ("image", "seed")
NORMS = ("linf", "l2")
_TABLE = "[tool.compd.gate]"


@dataclass(frozen=True)
class Policy:
    """What a gate lets pass, and how hard it looks.

    Raises:
        CompdError: if a value makes no sense.
    """

    min_severity: float = 0.0  # milder deviations are shown and do not count
    max_new: int = 0  # deviations that nobody has accepted
    max_severity_rise: float = 0.1  # of an accepted one, before it counts as new
    known_by: str = "image"  # or "seed": one accepted stands for its seed's flip, whatever pixels
    max_natural_disagreement: float | None = None  # its one-sided 95 % bound, share of test rows
    max_accuracy_drop: float | None = None  # original to deployed, share of test rows
    max_class_accuracy_drop: float | None = None  # the same of each class on its own
    max_negative_flips: float | None = None  # only the original right: its one-sided 95 % bound
    max_class_negative_flips: float | None = None  # of a class, exceeded by more than chance
    # shift -> its one-sided 95 % bound, share of shifted test rows: {"fog:3": 0.02}
    max_shift_disagreement: Mapping[str, float] | None = None
    guard_alpha: float | None = None  # disagreement among images that a guard lets through
    guard_min_coverage: float | None = None  # share of held-out test rows that it lets through
    only_replay: bool = False  # no search
    seeds: int = 50  # images that the search starts from
    time: float | None = None  # seconds of search; None: as long as its seeds take
    random_seed: int = 0  # of the search
    strategy: str | None = None  # of the search; None for the corpus's own
    goal: str | None = None  # the same
    eps: int | None = None  # the same; levels of 255
    norm: str | None = None  # the same

    def __post_init__(self) -> None:
        for name in (
            "min_severity",
            "max_severity_rise",
            "max_natural_disagreement",
            "max_accuracy_drop",
            "max_class_accuracy_drop",
            "max_negative_flips",
            "max_class_negative_flips",
            "guard_min_coverage",
        ):
            _check(name, getattr(self, name), (int, float), 0, 1)
        _check("guard_alpha", self.guard_alpha, (int, float), 1e-6, 1 - 1e-6)
        if self.guard_min_coverage is not None and self.guard_alpha is None:
            raise SettingError("guard-alpha with guard-min-coverage", guard_alpha=None)
        if self.max_shift_disagreement is not None:
            limits = _shift_limits(self.max_shift_disagreement)
            object.__setattr__(self, "max_shift_disagreement", limits)
        for name, low, high in (
            ("max_new", 0, 2**31),
            ("seeds", 1, 2**31),
            ("random_seed", 0, 2**63 - 1),
            ("eps", 1, 255 * 2**15),
        ):
            _check(name, getattr(self, name), (int,), low, high)
        _check("time", self.time, (int, float), 1e-3, 1e9)
        _check("only_replay", self.only_replay, (bool,), 0, 1)
        if self.known_by not in KNOWN_BY:
            raise unknown("known-by", str(self.known_by), KNOWN_BY)
        if self.strategy is not None:
            STRATEGIES.parse(str(self.strategy))  # raises
        for name, known in (("goal", GOALS), ("norm", NORMS)):
            if getattr(self, name) not in (None, *known):
                raise unknown(name, str(getattr(self, name)), known)

    def over(self, given: Mapping[str, Any]) -> Policy:
        """With what else is given (flags); None leaves a field as it is."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @property
    def asks_for_images(self) -> bool:
        """Whether images of a data set are needed: to search from, or to measure on."""
        return not self.only_replay or self.asks_for_clean_rows

    @property
    def asks_for_clean_rows(self) -> bool:
        """Whether clean test rows have to be measured."""
        limits = (
            self.max_natural_disagreement,
            self.max_accuracy_drop,
            self.max_class_accuracy_drop,
            self.max_negative_flips,
            self.max_class_negative_flips,
            self.max_shift_disagreement or None,
            self.guard_alpha,
        )
        return any(limit is not None for limit in limits)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_toml(cls, data: bytes, where: str) -> Policy:
        """Read the table of a ``pyproject.toml``; without one, the default.

        Raises:
            CompdError: if the file is no TOML, or the table has an unknown or senseless key.
        """
        options = compd_table(data, where)
        for key, value in options.items():  # the other keys are options of the command line
            if isinstance(value, dict) and key != "gate" and _is_like_gate(key):
                raise SettingError(f"{unknown('a table of [tool.compd]', key, ['gate'])}: {where}")
        table = options.get("gate", {})
        if not isinstance(table, dict):
            raise SettingError(f"expected {_TABLE} to be a table, got {table!r:.40}: {where}")
        names = {field.name.replace("_", "-"): field.name for field in fields(cls)}
        for key in table:
            if key not in names:
                raise SettingError(f"{unknown(f'a key of {_TABLE}', key, names)}: {where}")
        try:
            return cls(**{names[key]: value for key, value in table.items()})
        except CompdError as error:
            raise SettingError(f"{error}: {_TABLE} of {where}") from error


def find_policy(folder: Path, named: Path | None = None) -> tuple[Policy, str]:
    """Read the policy of the nearest ``pyproject.toml``, in the folder or above it.

    Args:
        folder: where to begin.
        named: read this file instead.

    Returns:
        The policy, and the file that says it; "defaults" if there is none.

    Raises:
        CompdError: if a file that is named is not there, or a file cannot be read.
    """
    if named is not None and not named.exists():
        raise SettingError(f"expected a pyproject.toml, got config={str(named)!r} (no such file)")
    path = find_project(folder) if named is None else named
    if path is None:
        return Policy(), "defaults"
    data = read_project(path)
    if named is not None and b"tool.compd" not in data:
        raise SettingError(f"expected a table {_TABLE}, got none: {path}")
    return Policy.from_toml(data, str(path)), str(path)


def read_shift_limits(text: str) -> dict[str, float]:
    """Read ``fog:3=0.02,snow:1=0.05``.

    Raises:
        SettingError: if a part is no shift with a number.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            raise SettingError(
                "SHIFT=SHARE,…, such as fog:3=0.02", max_shift_disagreement=text
            ) from error
    return _shift_limits(found)


def _shift_limits(limits: object) -> dict[str, float]:
    """The limits under the shifts' own names.

    Raises:
        SettingError: if one is of no shift, or no share.
    """
    if not isinstance(limits, Mapping):
        raise SettingError(
            'expected max-shift-disagreement as a table, such as {"fog:3" = 0.02}, got '
            f"{limits!r:.40}"
        )
    found = {}
    for name, value in limits.items():
        shift = str(parse_shift(str(name)))
        _check(f"max-shift-disagreement of {shift}", value, (int, float), 0, 1)
        found[shift] = value
    return found


def _is_like_gate(key: str) -> bool:
    return bool(difflib.get_close_matches(key[:80], ["gate"]))


def _check(name: str, value: object, kinds: tuple[type, ...], low: float, high: float) -> None:
    """Raise unless a value is None or a number of these kinds in low..high."""
    if value is None:
        return
    wrong = type(value) not in kinds
    if wrong or not low <= value <= high:  # type: ignore[operator]
        kind = "true or false" if kinds == (bool,) else f"a number in {low:g}..{high:g}"
        raise SettingError(f"expected {name.replace('_', '-')} as {kind}, got {value!r:.40}")
