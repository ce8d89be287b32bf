"""Repair methods are plug-ins: a frozen configuration, and the loss of one step.

Adding a method is one file and one line in :data:`METHODS`; from another package, an entry point of
the group ``compd.methods`` or a call of :func:`compd.register`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compd.registry import Registry
from compd.repairing.methods.base import Bench, Schedule
from compd.repairing.methods.distil import Distil, distil_loss
from compd.repairing.methods.paper import Paper, paper_loss
from compd.repairing.methods.walk import Walk, walk_loss

__all__ = ["METHODS", "Bench", "Distil", "Method", "Paper", "Schedule", "Walk", "loss_of", "method"]


@dataclass(frozen=True)
class Method:
    """A registered method."""

    config: type[Schedule]  # a frozen dataclass
    loss: Callable[[Any, Bench, torch.Generator], Tensor]  # differentiable, of one batch


METHODS = Registry(
    "method",
    {
        "distil": Method(Distil, distil_loss),
        "paper": Method(Paper, paper_loss),
        "walk": Method(Walk, walk_loss),
    },
    kind=Method,
    group="compd.methods",
)

method = METHODS.parse


def loss_of(config: Schedule, bench: Bench, draw: torch.Generator) -> Tensor:
    """The loss of one step, with a gradient to the shadow's weights."""
    return METHODS.of(config).loss(config, bench, draw)
