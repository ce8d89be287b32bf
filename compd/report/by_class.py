"""What a search found, class by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compd.report.sentence import is_sure, is_very_sure
from compd.search.findings import Flipped

__all__ = ["ClassFound", "found_by_class"]


@dataclass(frozen=True)
class ClassFound:
    """What was found from the seeds of one class."""

    seeds: int  # searched from
    effective: int  # of these, with a deviation
    sure: int  # of these, with one of which both models are sure
    very_sure: int  # and over 90 %
    severity_max: float | None  # None: there is no deviation
    becomes: Mapping[str, int]  # class of the deployed model -> seeds, by their worst deviation


def found_by_class(
    searched: Mapping[str, int], flipped: Iterable[Flipped]
) -> dict[str, ClassFound]:
    """Count by the class that both models give a seed.

    Args:
        searched: seeds of each class that were searched from.
        flipped: the most severe deviation of each seed that has one.
    """
    found: dict[str, list[Flipped]] = {name: [] for name in searched}
    for one in flipped:
        found.setdefault(one.source, []).append(one)
    return {
        name: ClassFound(
            seeds=searched.get(name, len(flips)),
            effective=len(flips),
            sure=sum(is_sure(one.severity) for one in flips),
            very_sure=sum(is_very_sure(one.confidence) for one in flips),
            severity_max=max((one.severity for one in flips), default=None),
            becomes=dict(Counter(one.target for one in flips).most_common()),
        )
        for name, flips in found.items()
    }
