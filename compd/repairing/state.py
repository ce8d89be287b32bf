"""The state of an unfinished repair, so that it can go on after anything."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from compd.files.storage import disk_errors, write_atomic
from compd.repairing.selection import Seen

__all__ = ["State", "load_state", "save_state"]

Tensors = dict[str, Any]  # a state dict


@dataclass
class State:
    """Where a repair is: everything that the rest of it depends on."""

    key: str  # of all that determines the repair
    seen: list[Seen] = field(default_factory=list)  # rounds so far; the first is the start
    base: int = 0  # which start they are trained from; 0 is the pair itself
    best: Tensors = field(default_factory=dict)  # the shadow of the best round
    shadow: Tensors = field(default_factory=dict)  # the shadow in training
    optimiser: Tensors | None = None  # None between rounds
    step: int = 0  # of the round in training
    steps: int = 0  # that this round has, fixed at its start but for a budget of time
    ends: float = 0.0  # when its training is to end, with such a budget; in seconds like these:
    first_loss: float = 0.0  # of the round in training
    seconds: float = 0.0  # spent in rounds, over all runs
    eps: int | None = None  # bound of the searches that choose among rounds
    search_seconds: float = 0.0  # that the last search took
    rate: float = 1.0  # of the method's learning rate
    notes: list[str] = field(default_factory=list)


def save_state(state: State, path: Path) -> None:
    """Write the state; a reader sees the whole of it or the one before."""
    buffer = io.BytesIO()
    torch.save({**vars(state), "seen": [asdict(seen) for seen in state.seen]}, buffer)
    with disk_errors(path):
        write_atomic(path, buffer.getvalue(), sync=False)


def load_state(path: Path, key: str) -> State:
    """Read the state of the repair with this key, or start a new one.

    A file that is broken, or of another repair, counts as none: it only saves time.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        content["seen"] = [Seen(**seen) for seen in content["seen"]]
        state = State(**content)
    except Exception:
        return State(key)
    return state if state.key == key else State(key)
