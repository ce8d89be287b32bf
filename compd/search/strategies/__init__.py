"""Strategies are plug-ins: a frozen configuration, and a search that it configures.

A search is a function from (configuration, task) to a generator of proposals. Adding a strategy
is one file and one line in :data:`STRATEGIES`; from another package, an entry point of the group
``compd.strategies`` or a call of :func:`compd.register`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compd.registry import Registry
from compd.search.strategies.base import Proposal, Search, Task
from compd.search.strategies.blackbox import Blackbox, search_blackbox
from compd.search.strategies.boundary import Boundary, search_boundary
from compd.search.strategies.compd import Compd, search_compd
from compd.search.strategies.dflare import Dflare, search_dflare
from compd.search.strategies.diva import Diva, search_diva
from compd.search.strategies.pgd import Pgd, search_pgd
from compd.search.strategies.shift import Shifts, search_shifts

__all__ = [
    "STRATEGIES",
    "Blackbox",
    "Boundary",
    "Compd",
    "Dflare",
    "Diva",
    "Pgd",
    "Proposal",
    "Search",
    "Shifts",
    "Strategy",
    "Task",
    "strategy",
]


@dataclass(frozen=True)
class Strategy:
    """A registered strategy."""

    config: type[Any]  # a frozen dataclass
    search: Callable[[Any, Task], Search]
    gradients: bool = True  # whether it differentiates original and shadow
    rescued: bool = False  # whether blackbox takes over seeds that have no gradient
    bounded: bool = True  # whether its candidates keep to a bound around their seeds
    budget: str | None = "steps"  # its setting that says how long it tries, if there is one
    # What a seed usually takes, at least, in forward passes of an image through both models; a
    # gradient takes six of them.
    forwards: int = 25


STRATEGIES = Registry(
    "strategy",
    {
        "blackbox": Strategy(
            Blackbox, search_blackbox, gradients=False, budget="queries", forwards=100
        ),
        "boundary": Strategy(Boundary, search_boundary, rescued=True),
        "compd": Strategy(Compd, search_compd, forwards=70),
        "dflare": Strategy(Dflare, search_dflare, gradients=False, budget="queries", forwards=100),
        "diva": Strategy(Diva, search_diva, forwards=140),
        "pgd": Strategy(Pgd, search_pgd, forwards=80),
        "shift": Strategy(
            Shifts, search_shifts, gradients=False, bounded=False, budget=None, forwards=95
        ),
    },
    kind=Strategy,
    group="compd.strategies",
)

strategy = STRATEGIES.parse
