"""All of a repair but its pair and its corpus."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from compd.errors import SettingError, unknown
from compd.repairing.methods import METHODS, Schedule, Walk

__all__ = ["KEEP", "SEARCHES", "RepairSettings"]

SEARCHES = ("boundary, severe", "boundary, first", "diva", "pgd", "compd", "blackbox", "dflare")

KEEP = ("best", "last")


@dataclass(frozen=True)
class RepairSettings:
    """All of a repair but its pair and its corpus.

    Raises:
        CompdError: if a value makes no sense.
    """

    method: Schedule = field(default_factory=Walk)  # a registered configuration, or its name
    rounds: int = 3  # fine-tune, convert, search again
    seconds: float | None = None  # budget of wall time for the rounds; the verdict comes after
    patience: int = 3  # rounds that bring nothing after which to stop
    target: float | None = 0.02  # stop when at most this share of seeds reaches severity 0.2
    keep: str = "best"  # by the selection rows; or "last": whatever the last round came to
    max_accuracy_drop: float = 0.001  # of a round that may be kept, on the selection split
    seeds: int = 60  # selection images that each round's search starts from
    eps: int | None = None  # bound of the searches, levels of 255; None for the corpus's own
    verdict_seeds: int = 100  # held-out images that the verdict's searches start from
    searches: tuple[str, ...] = SEARCHES  # of the verdict; the first is what is summed up
    random_seed: int = 0  # of all draws
    min_severity: float = 0.0  # entries of the corpus that are milder are left out
    classes: tuple[str, ...] = ()  # only entries whose seed the original gives one of these labels
    limit: int | None = None  # at most that many entries, the most severe first
    force: bool = False  # take entries of another pair, too

    def __post_init__(self) -> None:
        if isinstance(self.method, str):
            object.__setattr__(self, "method", METHODS.parse(self.method))
        METHODS.name_of(self.method)  # raises if it is of no registered method
        for name in self.searches or ("",):
            if name not in SEARCHES:
                raise unknown("search", name, SEARCHES)
        counts = (self.rounds, self.patience, self.seeds, self.verdict_seeds)
        if min(counts) < 1 or (self.limit is not None and self.limit < 1):
            raise SettingError(
                "rounds, patience, seeds, verdict_seeds and limit >= 1",
                rounds=self.rounds,
                patience=self.patience,
                seeds=self.seeds,
                verdict_seeds=self.verdict_seeds,
                limit=self.limit,
            )
        if self.keep not in KEEP:
            raise unknown("keep", self.keep, KEEP)
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise SettingError("a time in seconds, above 0", time=self.seconds)
        if self.eps is not None and not 1 <= self.eps <= 255:
            raise SettingError("eps in 1..255 (levels)", eps=self.eps)
        for name in ("min_severity", "target", "max_accuracy_drop"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise SettingError(f"expected {name} in 0..1, got {name}={getattr(self, name)}")
        if not 0 <= self.random_seed < 2**62:
            raise SettingError(f"expected 0 <= random_seed < 2**62, got {self.random_seed}")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            **asdict(self),
            "method": METHODS.settings_of(self.method),
            "classes": list(self.classes),
            "searches": list(self.searches),
        }
