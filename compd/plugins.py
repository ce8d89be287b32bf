"""Plug-ins of your own code: strategies, methods, compressions, runtimes, targets, shifts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from compd.errors import unknown
from compd.registry import Plugins

__all__ = ["register"]


def _strategies() -> Plugins[Any]:
    from compd.search.strategies import STRATEGIES

    return STRATEGIES


def _training() -> Plugins[Any]:
    from compd.training import TRAINING_STRATEGIES

    return TRAINING_STRATEGIES


def _methods() -> Plugins[Any]:
    from compd.repairing.methods import METHODS

    return METHODS


def _compressions() -> Plugins[Any]:
    from compd.compress import COMPRESSIONS

    return COMPRESSIONS


def _runtimes() -> Plugins[Any]:
    from compd.runtimes.openers import OPENERS

    return OPENERS


def _targets() -> Plugins[Any]:
    from compd.exporting.targets import TARGETS

    return TARGETS


def _shifts() -> Plugins[Any]:
    from compd.shifts import SHIFTS

    return SHIFTS


def _studies() -> Plugins[Any]:
    from compd.studies import STUDIES

    return STUDIES


_KINDS: dict[str, Callable[[], Plugins[Any]]] = {
    "strategy": _strategies,
    "training-strategy": _training,
    "method": _methods,
    "compression": _compressions,
    "runtime": _runtimes,
    "target": _targets,
    "shift": _shifts,
    "study": _studies,
}


def register(kind: str, name: str, entry: Any) -> None:
    """Make a plug-in known under a name, as the command line and corpora then call it.

    A package does the same for all who have it installed by an entry point of the group
    ``compd.strategies``, ``compd.training_strategies``, ``compd.methods``, ``compd.compressions``,
    ``compd.runtimes``, ``compd.targets``, ``compd.shifts`` or ``compd.studies``, whose name is
    ``name`` and whose object is ``entry``.

    Args:
        kind: ``strategy``, ``training-strategy``, ``method``, ``compression``, ``runtime``,
            ``target``, ``shift`` or ``study``.
        name: of the plug-in; of a runtime the suffix of its files, such as ``.mine``.
        entry: a :class:`compd.search.strategies.Strategy`,
            :class:`compd.training.TrainingStrategy`,
            :class:`compd.repairing.methods.Method`, :class:`compd.compress.Family`,
            :class:`compd.runtimes.Opener`, :class:`compd.exporting.Target`,
            :class:`compd.shifts.Kind` or :class:`compd.studies.Study`.

    Raises:
        SettingError: if the kind is unknown, or the name is taken.
    """
    if kind not in _KINDS:
        raise unknown("kind", kind, _KINDS)
    _KINDS[kind]().register(name, entry)
