"""All of a campaign but its pair and its seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from compd.errors import SettingError, unknown
from compd.search.bounds import Bound
from compd.search.strategies import STRATEGIES, Boundary

__all__ = ["GOALS", "SearchSettings"]

GOALS = ("first", "severe")
_USUAL, _LEAST = 200, 64  # clean images of a look


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
    flip: tuple[str, str] | None = None  # class names: only seeds of the first, only to the second
    random_seed: int = 0  # of all draws; each depends on it and on the seed image alone
    batch: int | None = None  # images a model call; None for a sensible number for the device
    keep: str = "effective"  # or "valid": hand out candidates that changed no answer, too
    seconds: float | None = None  # budget of wall time

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

    def __post_init__(self) -> None:
        if isinstance(self.strategy, str):
            object.__setattr__(self, "strategy", STRATEGIES.make(self.strategy))
        STRATEGIES.name_of(self.strategy)  # raises if it is of no registered strategy
        if self.keep not in ("effective", "valid"):
            raise unknown("keep", self.keep, ("effective", "valid"))
        if self.goal not in GOALS:
            raise unknown("goal", self.goal, GOALS)
        if self.goal == "severe" and self.keep != "effective":
            raise SettingError("expected keep='effective' with goal='severe', got keep='valid'")
        Bound(self.eps, self.norm)  # raises
        if self.limit is not None and self.limit < 1:
            raise SettingError("at least one seed", seeds=self.limit)
        if self.batch is not None and self.batch < 1:
            raise SettingError("at least one image a batch", batch=self.batch)
        if self.seconds is not None and not self.seconds > 0:
            raise SettingError("a positive time", time=self.seconds)
        if not 0 <= self.random_seed < 2**63:
            raise SettingError(f"expected 0 <= random_seed < 2**63, got {self.random_seed}")
