"""Repair methods are plug-ins: a frozen configuration, and the loss of one step.

Adding a method is one file and one line in :data:`METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from compd.errors import CompdError, unknown
from compd.repair.methods.base import Bench, Schedule
from compd.repair.methods.distil import Distil, distil_loss
from compd.repair.methods.paper import Paper, paper_loss
from compd.repair.methods.walk import Walk, walk_loss

__all__ = ["METHODS", "Bench", "Distil", "Method", "Paper", "Schedule", "Walk", "loss_of", "method"]


@dataclass(frozen=True)
class Method:
    """A registered method."""

    config: type[Schedule]  # a frozen dataclass
    loss: Callable[[Any, Bench, torch.Generator], Tensor]  # differentiable, of one batch


METHODS: Mapping[str, Method] = {
    "distil": Method(Distil, distil_loss),
    "paper": Method(Paper, paper_loss),
    "walk": Method(Walk, walk_loss),
}


def method(name: str, **settings: Any) -> Schedule:
    """Make a method's configuration by name; settings that are None keep their default.

    Raises:
        CompdError: if the method is unknown, or has no such setting.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    config = METHODS[name].config
    given = {key: value for key, value in settings.items() if value is not None}
    known = [f.name for f in fields(config)]
    for key in given:
        if key not in known:
            raise CompdError(f"expected a setting of {name} ({', '.join(known)}), got {key}")
    return config(**given)


def name_of(config: Schedule) -> str:
    """The name under which a configuration's method is registered.

    Raises:
        CompdError: if it is of no registered method.
    """
    for name, entry in METHODS.items():
        if type(config) is entry.config:
            return name
    raise unknown("method", type(config).__name__, METHODS)


def loss_of(config: Schedule, bench: Bench, draw: torch.Generator) -> Tensor:
    """The loss of one step, with a gradient to the shadow's weights."""
    return METHODS[name_of(config)].loss(config, bench, draw)


def settings_of(config: Schedule) -> dict[str, Any]:
    """A configuration as a JSON object, its method's name first."""
    return {"name": name_of(config), **asdict(config)}
