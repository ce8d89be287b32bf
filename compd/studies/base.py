"""What a study is: a configuration, what it needs, and a function from a bench to a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from compd.studies.bench import Bench

__all__ = ["Study"]


def _nothing(config: Any, bench: Bench) -> str:
    return ""


@dataclass(frozen=True)
class Study:
    """A registered study: all that a run asks of it.

    Adding one is one file and one line in :data:`compd.studies.STUDIES`; from another package, an
    entry point of the group ``compd.studies`` or a call of :func:`compd.register`.
    """

    config: type[Any]  # a frozen dataclass with defaults
    run: Callable[[Any, Bench], Any]  # (config, bench) -> a frozen dataclass of plain values
    result: type[Any]  # of which class that is
    # (config, bench) -> why it does not apply here, in one line; empty if it does
    lacks: Callable[[Any, Bench], str] = _nothing


def no_labels(config: Any, bench: Bench) -> str:
    """Why a study of right and wrong answers does not apply."""
    del config
    return "" if bench.clean.labelled else "the images have no labels"


def trainable(config: Any, bench: Bench) -> str:
    """Why a study that trains does not apply."""
    del config
    if not bench.pair.rebuilds or not bench.pair.can_differentiate_original:
        return "the models were made elsewhere, and cannot be trained and compressed again here"
    if bench.splits is None:
        return "there are no rows to train on: name a data set"
    if not bench.splits.train.labelled:
        return "the images have no labels of the model's classes to train on"
    return ""
