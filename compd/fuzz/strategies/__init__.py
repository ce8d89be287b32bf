"""Strategies are plug-ins: a frozen configuration, and a search that it configures.

A search is a function from (configuration, task) to a generator of proposals. Adding a strategy
is one file and one line in :data:`STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from compd.errors import CompdError, unknown
from compd.fuzz.strategies.base import Proposal, Search, Task
from compd.fuzz.strategies.blackbox import Blackbox, search_blackbox
from compd.fuzz.strategies.boundary import Boundary, search_boundary
from compd.fuzz.strategies.compd import Compd, search_compd
from compd.fuzz.strategies.dflare import Dflare, search_dflare
from compd.fuzz.strategies.diva import Diva, search_diva
from compd.fuzz.strategies.pgd import Pgd, search_pgd

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
    "Strategy",
    "Task",
    "name_of",
    "settings_of",
    "strategy",
]


@dataclass(frozen=True)
class Strategy:
    """A registered strategy."""

    config: type[Any]  # a frozen dataclass
    search: Callable[[Any, Task], Search]
    gradients: bool = True  # whether it differentiates original and shadow
    rescued: bool = False  # whether blackbox takes over seeds that have no gradient


STRATEGIES: Mapping[str, Strategy] = {
    "blackbox": Strategy(Blackbox, search_blackbox, gradients=False),
    "boundary": Strategy(Boundary, search_boundary, rescued=True),
    "compd": Strategy(Compd, search_compd),
    "dflare": Strategy(Dflare, search_dflare, gradients=False),
    "diva": Strategy(Diva, search_diva),
    "pgd": Strategy(Pgd, search_pgd),
}


def strategy(name: str, **settings: Any) -> Any:
    """Make a strategy's configuration by name; settings that are None keep their default.

    Raises:
        CompdError: if the strategy is unknown, or has no such setting.
    """
    if name not in STRATEGIES:
        raise unknown("strategy", name, STRATEGIES)
    config = STRATEGIES[name].config
    given = {key: value for key, value in settings.items() if value is not None}
    for key in given:
        takers = [n for n, s in STRATEGIES.items() if key in {f.name for f in fields(s.config)}]
        if name not in takers:
            raise CompdError(
                f"expected {key} with strategy {' or '.join(takers) or '(none has it)'}, got "
                f"strategy={name!r}"
            )
    return config(**given)


def name_of(config: Any) -> str:
    """The name under which a configuration's strategy is registered.

    Raises:
        CompdError: if it is of no registered strategy.
    """
    for name, entry in STRATEGIES.items():
        if type(config) is entry.config:
            return name
    raise unknown("strategy", type(config).__name__, STRATEGIES)


def settings_of(config: Any) -> dict[str, Any]:
    """A configuration as a JSON object, its strategy's name first."""
    return {"name": name_of(config), **asdict(config)}
