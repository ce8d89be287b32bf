"""Progress on the terminal: a live bar, or plain lines when nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from compd.cli.console import Console
from compd.progress import Progress, Report

__all__ = ["live"]

_PLAIN_EVERY = 5.0  # seconds between plain lines


@contextmanager
def live() -> Iterator[Report]:
    """Yield a report function that draws on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(console)
        return
    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        tasks: dict[str, TaskID] = {}
        done: dict[str, int] = {}

        def report(progress: Progress) -> None:
            stage = progress.stage
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=progress.total, facts="")
            elif progress.done < done[stage]:  # the same again, from its beginning
                bar.reset(tasks[stage])
            done[stage] = progress.done
            bar.update(
                tasks[stage],
                completed=progress.done,
                total=progress.total,
                facts=_facts(progress),
            )

        yield report


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
