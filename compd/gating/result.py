"""What a gate saw, and whether it lets it pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compd.gating.baseline import Accepted
from compd.gating.clean import CleanRows
from compd.gating.compared import Compared
from compd.gating.deviations import Deviation, Status
from compd.gating.policy import Policy
from compd.gating.search import Searched
from compd.text import shortened

__all__ = ["ORDER", "GateResult"]

ORDER = tuple(Status)  # what matters most comes first


@dataclass(frozen=True)
class GateResult:
    """What a gate saw, and whether it lets it pass."""

    corpus: str
    baseline: str
    pair: str
    policy: Policy
    policy_from: str
    options: str  # how a command line names the pair
    interrupted: bool  # before the search had ended
    entries: int  # of the corpus
    other_original: int  # of these, that were stored with another original
    deviations: tuple[Deviation, ...]  # what matters most first, then by severity and hash
    unknown: tuple[Accepted, ...]  # lines of the baseline that the corpus has no entry for
    failures: Mapping[str, str]  # limit of the policy -> what does not hold
    clean: CleanRows | None  # None: the policy limits nothing there
    searched: Searched | None  # None: replay only
    found: str | None  # corpus that findings of searches are stored in; None if it has none
    seconds: float
    replay_seconds: float
    model_seconds: float  # of all seconds, inside model calls
    fingerprint: Mapping[str, Any]
    compared: Compared | None = None  # the search, next to that of the accepted pair
    notes: tuple[str, ...] = ()  # why the search could not be compared
    warnings: tuple[str, ...] = ()  # of the corpus: what makes the verdict weaker than it looks

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {status}" for status, count in self.counts.items() if count)
        return shortened(f"GateResult({self.verdict}: {counts or 'nothing deviates'})")

    def of(self, *statuses: Status) -> tuple[Deviation, ...]:
        """The deviations of some statuses."""
        return tuple(one for one in self.deviations if one.status in statuses)

    @property
    def counts(self) -> dict[Status, int]:
        """How many deviations have which status; all statuses are there."""
        found = Counter(one.status for one in self.deviations)
        return {status: found[status] for status in ORDER}

    @property
    def too_many(self) -> bool:
        """Whether there are more new deviations than the policy lets pass."""
        return self.counts[Status.NEW] > self.policy.max_new

    @property
    def blind(self) -> bool:
        """Whether the search ended before it had looked at a single candidate."""
        return self.searched is not None and not self.searched.summary.forwards_per_seed

    @property
    def foreign(self) -> bool:
        """Whether the corpus is not this pair's: all of another original, and most are gone.

        Some deviations of one network are, by chance, also those of another one.
        """
        replayed = [one for one in self.deviations if one.found == "corpus"]
        return 0 < self.entries == self.other_original and 2 * self.gone > len(replayed)

    @property
    def gone(self) -> int:
        """How many entries of the corpus do not deviate here."""
        gone = (Status.STALE, Status.FIXED)
        return sum(one.found == "corpus" and one.status in gone for one in self.deviations)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 new deviations or a limit that does not hold, 3 inconclusive; 130 cut off."""
        if self.interrupted:
            return 130
        if self.failures or self.too_many:
            return 1
        return 3 if self.counts[Status.UNCONFIRMED] or self.blind or self.foreign else 0

    @property
    def verdict(self) -> str:
        """The exit code as words."""
        if self.exit_code == 1:
            if "search-record" in self.failures:
                return "worse than what was accepted"
            return "new deviations" if self.too_many else "a limit does not hold"
        return {0: "clean", 3: "inconclusive", 130: "interrupted"}[self.exit_code]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        searched = self.searched
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "corpus": self.corpus,
            "baseline": self.baseline,
            "pair": self.pair,
            "policy": self.policy.to_json(),
            "policy_from": self.policy_from,
            "other_original": self.other_original,
            "foreign": self.foreign,
            "counts": {str(status): count for status, count in self.counts.items()},
            "deviations": [one.to_json() for one in self.deviations],
            "baseline_without_entry": [one.sha256 for one in self.unknown],
            "failures": dict(self.failures),
            "clean": None if self.clean is None else self.clean.to_json(),
            "search": None
            if searched is None
            else {
                "settings": dict(searched.settings),
                "rows": searched.rows,
                "seeds": searched.summary.seeds,
                "seeds_effective": searched.summary.seeds_effective,
                "seconds": searched.summary.seconds,
                "stopped": searched.summary.stopped,
            },
            "compared": None if self.compared is None else self.compared.to_json(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "found": self.found,
            "seconds": round(self.seconds, 3),
            "replay_seconds": round(self.replay_seconds, 3),
            "model_seconds": round(self.model_seconds, 3),
            "fingerprint": dict(self.fingerprint),
        }
