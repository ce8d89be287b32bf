"""A corpus in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from compd.corpus.records import Record
from compd.corpus.rows import RowsUsed, rows_used
from compd.search.judge import Verdict

__all__ = ["CorpusStats", "Cut", "cut_of", "stats"]


@dataclass(frozen=True)
class Cut:
    """What minimisation made of its entries; medians, each (before, after)."""

    entries: int
    pixels: tuple[float, float]  # changed positions
    values: tuple[float, float]  # changed values
    linf: tuple[float, float]  # levels of 255
    l2: tuple[float, float]  # per pixel
    factor: float  # median of each entry's changed pixels before / after
    severity: tuple[float, float] | None = None  # None: not all entries say it

    def __str__(self) -> str:
        def both(name: str, medians: tuple[float, float]) -> str:
            return f"{name} {medians[0]:g} → {medians[1]:g}"

        severe = "" if self.severity is None else f"; {both('severity', self.severity)}"
        return (
            f"{self.entries}; medians: {both('changed pixels', self.pixels)}, cut by "
            f"{self.factor:g}; {both('values', self.values)}; {both('Linf', self.linf)}; "
            f"{both('L2 per pixel', self.l2)}{severe}"
        )


def cut_of(records: Iterable[Record]) -> Cut | None:
    """Sum up the entries that minimisation made; None if there are none."""
    made = [record.minimised for record in records if record.minimised is not None]
    if not made:
        return None

    def medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
        before, after = np.median(np.array(pairs, dtype=float), 0).round(6).tolist()
        return before, after

    severe = [m.severity for m in made if m.severity is not None]
    return Cut(
        entries=len(made),
        pixels=medians([m.pixels for m in made]),
        values=medians([m.values for m in made]),
        linf=medians([m.linf for m in made]),
        l2=medians([m.l2 for m in made]),
        severity=medians(severe) if len(severe) == len(made) else None,
        factor=round(float(np.median([m.pixels[0] / max(1, m.pixels[1]) for m in made])), 1),
    )


@dataclass(frozen=True)
class CorpusStats:
    """Counts and measures over the entries of a corpus."""

    entries: int
    effective: int
    valid: int
    seeds_effective: int
    severity_median: float | None
    severity_p90: float | None
    severity_max: float | None
    linf_max: int | None
    l2_mean: float | None
    flips: dict[str, int]  # most frequent first
    strategies: dict[str, int]
    pairs: int  # different deployed models
    stabilities: dict[str, int] = field(
        default_factory=dict
    )  # of the effective ones; "": not replayed
    rows: tuple[RowsUsed, ...] = ()  # of all entries' seeds
    cut: Cut | None = None  # None: nothing here was minimised

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; keys are those of the class, but ``trusts`` for ``stabilities``."""
        content = asdict(self)
        return {"trusts" if key == "stabilities" else key: one for key, one in content.items()}


def stats(records: Iterable[Record]) -> CorpusStats:
    """Sum up records; measures are over the effective ones."""
    entries = list(records)
    effective = [record for record in entries if record.verdict is Verdict.EFFECTIVE]
    severities = [record.severity for record in effective]
    quantile = np.quantile(severities, [0.5, 0.9, 1.0]).round(6).tolist() if severities else None
    return CorpusStats(
        entries=len(entries),
        effective=len(effective),
        valid=sum(record.verdict is Verdict.VALID for record in entries),
        seeds_effective=len({record.seed_sha256 for record in effective}),
        severity_median=quantile[0] if quantile else None,
        severity_p90=quantile[1] if quantile else None,
        severity_max=quantile[2] if quantile else None,
        linf_max=max((record.linf for record in effective), default=None),
        l2_mean=round(float(np.mean([r.l2 for r in effective])), 6) if effective else None,
        flips=dict(Counter(record.flip for record in effective).most_common()),
        strategies=dict(Counter(str(r.strategy.get("name")) for r in entries).most_common()),
        pairs=len({str(record.fingerprint.get("deployed_sha256")) for record in entries}),
        stabilities=dict(Counter(str(r.stability or "") for r in effective).most_common()),
        rows=rows_used(entries),
        cut=cut_of(entries),
    )
