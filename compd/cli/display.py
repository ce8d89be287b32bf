"""Progress on the terminal: a live bar, or plain lines when nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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

        def report(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total, facts="")
            bar.update(
                tasks[progress.stage],
                completed=progress.done,
                total=progress.total,
                facts=_facts(progress),
            )

        yield report


def _plain(console: Console) -> Report:
    state: dict[str, Any] = {"stage": "", "next": 0.0, "begun": 0.0, "ended": False}

    def report(progress: Progress) -> None:
        now = time.monotonic()
        if progress.stage != state["stage"]:
            state.update(stage=progress.stage, begun=now, next=0.0, ended=False)
        ended = progress.done >= progress.total
        if (ended and state["ended"]) or (not ended and now < state["next"]):
            return
        state["ended"] = ended
        state["next"] = now + _PLAIN_EVERY
        elapsed = now - state["begun"]
        left = ""
        if 0 < progress.done < progress.total and elapsed > 1:
            left = f"  {elapsed * (progress.total - progress.done) / progress.done:.0f} s left"
        line = f"{progress.stage}: {progress.done}/{progress.total}  {_facts(progress)}{left}"
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)

    return report


def _facts(progress: Progress) -> str:
    return "  ".join(f"{key} {value}" for key, value in progress.facts.items())
