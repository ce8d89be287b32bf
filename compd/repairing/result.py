"""A repair as one object with stable keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from compd.repairing.clean import CleanChange
from compd.repairing.fresh import Fresh
from compd.repairing.selection import Seen
from compd.repairing.shifted import ShiftLook
from compd.repairing.verdict import RepairVerdict, Robust
from compd.statistics import Share
from compd.text import shortened

__all__ = ["RepairResult"]


@dataclass(frozen=True)
class RepairResult:
    """What a repair did and what it is worth, on held-out rows alone.

    ``fresh_*`` and ``severity_shares_*`` are of the most severe of the fresh searches; all of them
    are in ``fresh``. Shares are 0..1; severity shares are of all seeds, by threshold.
    """

    accuracy_original: float
    accuracy_before: float
    accuracy_after: float
    natural_before: float
    natural_after: float
    fixed: int
    stubborn: int
    new: int
    corpus_effective_before: int  # of all entries that can be read, trained on or not
    corpus_effective_after: int
    heldout_effective_before: int
    heldout_effective_after: int
    fresh_seeds: int
    fresh_effective_before: int
    fresh_effective_after: int
    severity_shares_before: Mapping[str, float]
    severity_shares_after: Mapping[str, float]
    kl_before: float
    kl_after: float
    rounds: int
    best_round: int  # 0: nothing was better than the start, which was handed back
    seconds: float  # of the rounds; the verdict not counted
    pair: str  # directory of the repaired pair
    fingerprint: Mapping[str, Any]
    settings: Mapping[str, Any]
    entries: int  # of the corpus that were trained on
    rows: Mapping[str, str]  # use -> rows
    seen: tuple[Seen, ...]  # the start and each round on the selection split
    clean: CleanChange
    fresh: tuple[Fresh, ...]
    robust: tuple[Robust, ...]
    notes: tuple[str, ...]
    looks: tuple[ShiftLook, ...] = ()  # at starts with 8-bit activations, under shifts

    def __repr__(self) -> str:
        return shortened(
            f"RepairResult(deviates on {self.fresh_effective_before} → "
            f"{self.fresh_effective_after} of {self.fresh_seeds} held-out seeds, accuracy "
            f"{self.accuracy_before:.1%} → {self.accuracy_after:.1%})"
        )

    @classmethod
    def of(cls, verdict: RepairVerdict, **how: Any) -> RepairResult:
        """Build it from the verdict, and from what is known of the rounds."""
        clean, worst = verdict.clean, verdict.fresh[0]
        return cls(
            accuracy_original=clean.accuracy_original,
            accuracy_before=clean.accuracy_before,
            accuracy_after=clean.accuracy_after,
            natural_before=clean.natural_before.share,
            natural_after=clean.natural_after.share,
            fixed=clean.fixed.count,
            stubborn=clean.stubborn.count,
            new=clean.new.count,
            corpus_effective_before=verdict.corpus_effective_before,
            corpus_effective_after=verdict.corpus_effective_after,
            heldout_effective_before=verdict.heldout_effective_before,
            heldout_effective_after=verdict.heldout_effective_after,
            fresh_seeds=worst.seeds,
            fresh_effective_before=worst.effective_before.count,
            fresh_effective_after=worst.effective_after.count,
            severity_shares_before=worst.severity_shares_before,
            severity_shares_after=worst.severity_shares_after,
            kl_before=clean.kl_before,
            kl_after=clean.kl_after,
            clean=clean,
            fresh=verdict.fresh,
            robust=verdict.robust,
            **how,
        )

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RepairResult:
        """The inverse of :meth:`to_json`; anything missing raises KeyError or TypeError."""

        def shares(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
            return {**values, **{name: Share(**values[name]) for name in names}}

        clean = shares(
            content["clean"], ("natural_before", "natural_after", "fixed", "stubborn", "new")
        )
        clean["accuracy_by_class"] = {
            name: tuple(values) for name, values in clean["accuracy_by_class"].items()
        }
        clean["worse_classes"] = tuple(clean["worse_classes"])
        nested = {
            "clean": CleanChange(**clean),
            "seen": tuple(Seen(**seen) for seen in content["seen"]),
            "fresh": tuple(
                Fresh(**shares(one, ("effective_before", "effective_after")))
                for one in content["fresh"]
            ),
            "robust": tuple(Robust(**one) for one in content["robust"]),
            "notes": tuple(content["notes"]),
            "looks": tuple(_look(one) for one in content.get("looks", ())),
        }
        return cls(**{**content, **nested})


def _look(content: Mapping[str, Any]) -> ShiftLook:
    lists = {name: tuple(content[name]) for name in ("shifts", "before", "after")}
    return ShiftLook(**{**content, **lists})
