"""What a page shows of a search, a gate and a repair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from compd.statistics import Share

__all__ = ["CampaignShown", "ClassShown", "Fresh", "GateShown", "RepairShown", "Result"]


@dataclass(frozen=True)
class ClassShown:
    """What was found from the seeds of one class."""

    seeds: int | None  # searched from; None: that is not known
    found: int  # of these, with a deviation
    sure: int  # of these, with one of which both models are sure
    very_sure: int  # and over 90 %
    severity_max: float | None
    becomes: Mapping[str, int]  # class -> seeds


@dataclass(frozen=True)
class CampaignShown:
    """A search, of ``compd fuzz``."""

    name: str  # of what it was read from
    made: str  # what the deployed model is: "int8", "pruned"
    full: str  # the same, and how it was made
    given: bool  # whether it is a file that compd did not make
    pair: str  # for people
    same: tuple[str, ...]  # what runs of one pair have in common, whatever the engine
    corpus: str
    sentence: str
    severe: bool  # whether something was found of which both models are sure
    by_class: Mapping[str, ClassShown] | None  # None: the result is of an older compd
    seeds: int
    found: int  # seeds with a deviation
    severity_median: float | None
    severity_max: float | None
    original: Share | None  # right answers on clean images; None: nobody labelled them
    deployed: Share | None
    natural: Share  # images on which the two differ untouched
    ties: int  # of these, exact ties
    set_aside: int  # seeds that were left out for that
    wrong: int  # seeds set aside, since the original gets them wrong
    rows: Mapping[str, str]
    strategy: str
    search: str  # strategy, bound and goal
    chosen: str  # which images of the rows are the seeds
    goal: str
    eps: int | None
    norm: str
    stability: Mapping[str, str]
    seconds: float
    stopped: str
    notes: tuple[str, ...]
    fingerprint: Mapping[str, str]

    @property
    def sure(self) -> int | None:
        """Seeds with a deviation of which both models are sure; None if that is not known."""
        if self.by_class is None:
            return None if self.severe else 0
        return sum(one.sure for one in self.by_class.values())

    @property
    def very_sure(self) -> int | None:
        """The same, of which both are over 90 % sure."""
        if self.by_class is None:
            return None if self.severe else 0
        return sum(one.very_sure for one in self.by_class.values())


@dataclass(frozen=True)
class GateShown:
    """A gate's result."""

    name: str
    verdict: str
    exit_code: int
    pair: str
    corpus: str
    baseline: str
    counts: Mapping[str, int]
    statuses: Mapping[str, tuple[str, str]]  # hash -> status, why
    severity_max: float | None  # of what is new
    failures: Mapping[str, str]
    clean: Mapping[str, str]  # for people
    search: str  # for people; empty: replay only
    mean: tuple[float, float] | None  # severity on record, and now
    worse: tuple[tuple[str, str, float, float], ...]  # seed, flip, severity on record, and now
    notes: tuple[str, ...]
    seconds: float
    fingerprint: Mapping[str, str]


@dataclass(frozen=True)
class Fresh:
    """One search from held-out seeds, before and after a repair."""

    search: str
    before: Share
    after: Share
    severe: tuple[tuple[str, float, float], ...]  # severity, share of seeds before and after


@dataclass(frozen=True)
class RepairShown:
    """A repair's verdict on held-out rows."""

    name: str
    pair: str  # folder of the repaired one
    images: int  # clean held-out ones
    accuracy: tuple[Share, Share, Share]  # original, before, after
    natural: tuple[Share, Share]
    fixed: int
    new: int
    chance: float  # McNemar's p-value
    corpus: tuple[int, int]  # entries that deviate before and after
    heldout: tuple[int, int]
    fresh: tuple[Fresh, ...]
    robust: tuple[tuple[str, float, float, float], ...]  # attack; original, before, after
    by_class: Mapping[str, tuple[float, float, float]]
    rounds: int
    best_round: int
    seconds: float
    notes: tuple[str, ...]
    fingerprint: Mapping[str, str] = field(default_factory=dict)


Result: TypeAlias = CampaignShown | GateShown | RepairShown
