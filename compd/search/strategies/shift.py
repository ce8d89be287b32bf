"""The natural search: what fog, noise or a blur do, and no gradient at all.

Each seed is shifted, from the mildest severity to the strongest, kind by kind. What is drawn for a
shift is drawn as :func:`compd.shifts.apply_shift` does it, so that a candidate is the image that a
study of the same random seed sees. A shift is no small change: no bound holds it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from compd.errors import SettingError
from compd.search.strategies.base import Proposal, Search, Task
from compd.shifts import Shift, apply_shift, check_packages, kind_of, parse_shifts

__all__ = ["Shifts", "search_shifts"]

_SEVERITIES = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Shifts:
    """Settings of the search among shifts."""

    # Kinds and groups, each with or without a level: "noise+fog:3". A plus and not a comma between
    # them, since commas part the settings of a strategy.
    kinds: str = "cifar10-c"

    def __post_init__(self) -> None:
        self.shifts()  # raises

    def shifts(self) -> tuple[Shift, ...]:
        """All shifts, the mildest of each kind first, then the second of each, and so on.

        Raises:
            SettingError: if a name is neither of a kind nor of a group, or a level is none of it.
        """
        found = parse_shifts(self.kinds.replace("+", ","), severities=_SEVERITIES)
        levels: dict[str, list[float]] = {}
        for one in found:
            levels.setdefault(one.kind, []).append(one.severity)
        ranks = {kind: sorted(values) for kind, values in levels.items()}
        return tuple(sorted(found, key=lambda one: ranks[one.kind].index(one.severity)))


def search_shifts(config: Shifts, task: Task) -> Search:
    """Propose each seed under each shift.

    With goal "first" a seed is left alone after its first deviation, which is one of the mildest;
    with goal "severe" all shifts are tried, so that their rates are of all seeds.
    """
    shifts = _fitting(config, task)
    # a shift draws by the first 64 bits of an image's hash, and these are the key
    hashes = [f"{key:016x}" for key in task.keys]
    waiting = torch.arange(len(task.images))
    for done, shift in enumerate(shifts):
        images = apply_shift(
            shift,
            task.images[waiting],
            random_seed=task.random_seed,
            hashes=[hashes[i] for i in waiting.tolist()],
        )
        task.share = (done + 1) / len(shifts)
        judgement = yield Proposal(images, waiting, (str(shift),) * len(waiting))
        if task.goal == "first":
            waiting = waiting[~judgement.effective]
        if not len(waiting):
            return


def _fitting(config: Shifts, task: Task) -> list[Shift]:
    """The shifts that take images of the task's channels; the task is told of the others."""
    channels = task.images.shape[1]
    shifts = config.shifts()
    fit = [one for one in shifts if channels in kind_of(one).channels]
    check_packages(fit)
    others = dict.fromkeys(one.kind for one in shifts if one not in fit)
    what = {1: "grey", 3: "RGB"}.get(channels, f"{channels}-channel")
    if not fit:
        raise SettingError(f"kinds of shifts that take {what} images", kinds=config.kinds)
    if others:
        task.notes.append(f"left out, since images are {what}: {', '.join(others)}")
    return fit
