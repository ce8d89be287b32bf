"""Progress on the terminal: a live bar, or plain lines when nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column

from compd.cli.console import Console
from compd.cli.interrupt import first_interrupt_stops
from compd.cli.quiet import is_quiet
from compd.control import Control, Progress, Report

__all__ = ["Display", "live"]

_PLAIN_EVERY = 5.0  # seconds between plain lines


class Display(Control):
    """A control whose progress is drawn on standard error: as a bar, as plain lines, or not."""

    def __init__(self, console: Console, bar: Bar | None, *, silent: bool = False) -> None:
        told = _plain(console) if bar is None else self._draw
        super().__init__(None if silent else told)
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the terminal to something else that is printed."""
        if self._bar is None:
            yield
            return
        self._bar.stop()
        yield
        for task in self._tasks.values():  # what is printed stays; the bar goes on below
            self._bar.remove_task(task)
        self._tasks.clear()
        self._bar.start()

    def interruptible(self) -> AbstractContextManager[None]:
        """Let the first Ctrl-C (or SIGTERM) end the work inside after its step."""
        return first_interrupt_stops(self)

    def _draw(self, progress: Progress) -> None:
        assert self._bar is not None
        stage = progress.stage
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=progress.total, facts="")
        elif progress.done < self._done[stage]:  # the same again, from its beginning
            self._bar.reset(self._tasks[stage])
        self._done[stage] = progress.done
        self._bar.update(
            self._tasks[stage],
            completed=progress.done,
            total=progress.total,
            facts=_facts(progress),
        )


@contextmanager
def live() -> Iterator[Display]:
    """Yield a control that shows its progress."""
    console, silent = Console(stderr=True), is_quiet()
    bar = None
    if console.is_terminal and not silent:
        # what is long gives way: count, rate and time left are whole at 80 columns
        bar = Bar(
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=min(40, max(8, console.width - 72))),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[facts]}", table_column=Column(no_wrap=True)),
            TextColumn("left"),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=console,
            expand=True,
        )
    with bar or nullcontext():
        yield Display(console, bar, silent=silent)


@dataclass
class _Stage:
    """What was told of a stage of this name since it began, or began again."""

    begun: float  # seconds
    next: float = 0.0  # when a line is due
    done: int = 0


def _plain(console: Console) -> Report:
    stages: dict[str, _Stage] = {}

    def report(progress: Progress) -> None:
        now = time.monotonic()
        stage = stages.get(progress.stage)
        if stage is None or progress.done < stage.done:
            stage = stages[progress.stage] = _Stage(now)
        ended = progress.done >= progress.total
        known = ended and stage.done >= progress.total
        stage.done = progress.done
        if known or (not ended and now < stage.next):
            return
        stage.next = now + _PLAIN_EVERY
        elapsed = now - stage.begun
        left = ""
        if 0 < progress.done < progress.total and elapsed > 1:
            left = f"  {elapsed * (progress.total - progress.done) / progress.done:.0f} s left"
        line = f"{progress.stage}: {progress.done}/{progress.total}  {_facts(progress)}{left}"
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)

    return report


def _facts(progress: Progress) -> str:
    return "  ".join(f"{key} {value}" for key, value in progress.facts.items())
