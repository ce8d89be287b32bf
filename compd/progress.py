"""How library code tells what it is doing; only ``cli`` decides how that looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Progress", "Report", "silent"]


@dataclass(frozen=True)
class Progress:
    """One moment of a long task."""

    stage: str  # what is going on, for example "training resnet18"
    done: int
    total: int
    facts: Mapping[str, str] = field(default_factory=dict)  # short name -> text


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report nothing."""
