"""Long tasks: what they tell, how they are told to stop, and where their time goes."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from compd.errors import Stopped

__all__ = ["QUIET", "Clock", "Control", "Outcome", "Progress", "Report"]


class Outcome(StrEnum):
    """How a task ended."""

    DONE = "done"
    TIME = "time"  # its time was up
    ROUNDS = "rounds"  # as many rounds as were asked for
    INTERRUPTED = "interrupted"  # it was told to stop


@dataclass(frozen=True)
class Progress:
    """One moment of a long task."""

    stage: str  # what is going on, for example "training resnet18"
    done: int
    total: int
    facts: Mapping[str, str] = field(default_factory=dict)  # short name -> text


Report = Callable[[Progress], None]


class Clock:
    """Adds up the wall time spent inside model calls.

    Args:
        whole: another clock, to which the same time is added.
    """

    def __init__(self, whole: Clock | None = None) -> None:
        self.seconds = 0.0
        self._whole = whole

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside the block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.add(time.perf_counter() - begun)

    def add(self, seconds: float) -> None:
        """Add time, here and to the whole."""
        self.seconds += seconds
        if self._whole is not None:
            self._whole.add(seconds)


class Control:
    """What whoever starts a task hands to it, and keeps: to hear of it, and to end it.

    Args:
        report: told of progress; None tells nobody.
    """

    def __init__(self, report: Report | None = None) -> None:
        self._report = report
        self._stop = threading.Event()
        self.clock = Clock()  # time inside models

    @property
    def quiet(self) -> Control:
        """The same control, which tells nobody: for a part of a task that is told as a whole."""
        other = copy.copy(self)
        other._report = None
        return other

    @property
    def timed(self) -> Control:
        """The same control with a clock of its own, whose time this one's counts, too."""
        other = copy.copy(self)
        other.clock = Clock(self.clock)
        return other

    def stop(self) -> None:
        """End the task after its current step; from another thread, or a signal handler."""
        self._stop.set()

    @property
    def stopped(self) -> bool:
        """Whether the task was told to stop."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise if the task was told to stop: for a task that has no result before its end.

        Raises:
            Stopped: then.
        """
        if self.stopped:
            raise Stopped

    def report(
        self, stage: str, done: int, total: int, facts: Mapping[str, str] | None = None
    ) -> None:
        """Tell how far the task is.

        Args:
            stage: what is going on.
            done: of ``total``.
            total: of this stage.
            facts: short name -> text.
        """
        if self._report is not None:
            self._report(Progress(stage, done, total, facts or {}))


# For tasks that nobody watches.
QUIET = Control()
