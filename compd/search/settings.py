"""All of a campaign but its pair and its seeds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any

from compd.errors import SettingError, unknown
from compd.search.bounds import Bound
from compd.search.objective import LabelFlip, Objective
from compd.search.strategies import STRATEGIES, Boundary
from compd.text import shortened
from compd.wording import setting

__all__ = ["GOALS", "WRONG_SEEDS", "SearchSettings"]

GOALS = ("first", "severe")
WRONG_SEEDS = ("keep", "aside")
_USUAL, _LEAST = 200, 64  # clean images that are evaluated


@dataclass(frozen=True)
class SearchSettings:
    """All of a campaign but its pair and its seeds.

    Raises:
        CompdError: if a value makes no sense.
    """

    strategy: Any = field(default_factory=Boundary)  # a registered configuration, or its name
    limit: int | None = None  # seeds to search from; None for all
    eps: int | None = None  # bound in levels of 255; None for the whole lattice
    norm: str = "linf"  # what eps bounds; or "l2"
    goal: str = "first"  # or "severe": go on towards the highest severity, keep the best per seed
    objective: Objective = field(default_factory=LabelFlip)  # which deviations count
    wrong_seeds: str = "keep"  # those that the original gets wrong; or "aside": not searched from
    random_seed: int = 0  # of all draws; each depends on it and on the seed image alone
    keep: str = "effective"  # or "valid": hand out candidates that changed no answer, too
    seconds: float | None = None  # budget of wall time
    # candidates a seed where blackbox takes over; None: 2000 instead of a strategy, 400 after one
    queries: int | None = None

    def __repr__(self) -> str:
        """What is not as by default."""
        usual = SearchSettings()
        told = {
            one.name: getattr(self, one.name)
            for one in fields(self)
            if getattr(self, one.name) != getattr(usual, one.name)
        }
        given = [f"{name}={value!r}" for name, value in told.items()]
        return shortened(f"SearchSettings({', '.join(given)})")

    def clean_rows(self, available: int) -> int:
        """How many clean images to look at before the search.

        As many as there are seeds to search, and 200 at least, since fewer say little; but no more
        than take a tenth of the time that the search will, unless that were fewer than 64.

        Args:
            available: seeds that there are.
        """
        seeds = min(self.limit or available, available)
        affordable = seeds * STRATEGIES.of(self.strategy).forwards // 10
        return min(available, max(_USUAL, seeds), max(_LEAST, affordable))

    def to_json(self) -> dict[str, Any]:
        """What corpora and reports say of how it was searched, as a JSON object.

        A plain flip between two classes is ``flip``; an objective that is more is told in full.
        """
        objective = self.objective
        flip = None
        if objective.source is not None and objective.target is not None:
            flip = f"{objective.source}:{objective.target}"
        parts = [part["kind"] for part in objective.to_json()]
        simple = parts in (["LabelFlip"], ["SourceClass", "TargetClass"])
        more: dict[str, Any] = {} if simple else {"objective": objective.to_json()}
        if self.wrong_seeds != WRONG_SEEDS[0]:
            more["wrong_seeds"] = self.wrong_seeds
        if self.queries is not None:
            more["queries"] = self.queries
        return {"goal": self.goal, "flip": flip, **more}

    def __post_init__(self) -> None:
        if isinstance(self.strategy, str):
            object.__setattr__(self, "strategy", STRATEGIES.parse(self.strategy))
        STRATEGIES.name_of(self.strategy)  # raises if it is of no registered strategy
        if not isinstance(self.objective, Objective):
            raise SettingError("an objective of compd.search", objective=self.objective)
        if self.keep not in ("effective", "valid"):
            raise unknown("keep", self.keep, ("effective", "valid"))
        if self.goal not in GOALS:
            raise unknown("goal", self.goal, GOALS)
        if self.wrong_seeds not in WRONG_SEEDS:
            raise unknown("wrong_seeds", self.wrong_seeds, WRONG_SEEDS)
        if self.goal == "severe" and self.keep != "effective":
            raise SettingError("expected keep='effective' with goal='severe', got keep='valid'")
        for name in ("eps", "limit", "random_seed"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        Bound(self.eps, self.norm)  # raises
        if self.limit is not None and self.limit < 1:
            raise SettingError("at least one seed", seeds=self.limit)
        if self.seconds is not None and not (
            isinstance(self.seconds, int | float) and self.seconds > 0
        ):
            raise SettingError("a positive time", time=self.seconds)
        if self.queries is not None and self.queries < 1:
            raise SettingError("at least one candidate a seed", queries=self.queries)
        if self.random_seed is None or not 0 <= self.random_seed < 2**63:
            raise SettingError(f"expected 0 <= random_seed < 2**63, got {self.random_seed}")


def _whole(name: str, value: Any) -> int | None:
    """A whole number of any type (of numpy, 4.0) as an int, which is what a corpus can store."""
    if value is None:
        return None
    is_number: bool = isinstance(value, Real)
    if not is_number or value % 1:
        advice = ""
        if name == "eps" and is_number and 0 < value < 1:
            advice = f"a change of {value:.3g} of the range 0..1 is "
            advice += setting("eps", max(1, round(value * 255)))
        what = "whole levels of 255" if name == "eps" else "a whole number"
        raise SettingError(f"{name} as {what}", advice=advice, **{name: value})
    return int(value)
