"""Which line of the baseline, if any, speaks of a deviation."""

from __future__ import annotations

from collections.abc import Iterable

from compd.corpus import Record
from compd.gating.baseline import Accepted, Baseline

__all__ = ["Known"]


class Known:
    """Finds what was accepted, by the image or by its seed.

    Args:
        baseline: what was accepted.
        corpus: says which seeds accepted images are from.
        by: ``image``: a line speaks of its own image alone; ``seed``: also of all others of the
            same seed and flip, the most severe line first.
    """

    def __init__(self, baseline: Baseline, corpus: Iterable[Record], *, by: str = "image") -> None:
        self._baseline = baseline
        self._by_seed: dict[tuple[str, str], Accepted] = {}
        if by == "seed":
            for record in corpus:
                line = baseline.get(record.sha256)
                if line is not None:
                    key = record.seed_sha256, line.flip
                    if line.severity >= self._by_seed.get(key, line).severity:
                        self._by_seed[key] = line

    def line(self, record: Record) -> Accepted | None:
        """The line that speaks of a record, as it is judged here."""
        own = self._baseline.get(record.sha256)
        if own is not None:
            return own
        return self._by_seed.get((record.seed_sha256, Accepted.of(record, "-").flip))
