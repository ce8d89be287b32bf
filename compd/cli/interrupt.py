"""Ctrl-C, or a polite kill: the first ends the work in order, the second at once; closed pipes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from compd.control import Control

__all__ = ["first_interrupt_stops", "silence"]


@contextmanager
def first_interrupt_stops(control: Control) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) end the work after its step, and the second at once."""

    def handle(number: int, frame: FrameType | None) -> None:
        if control.stopped:
            raise KeyboardInterrupt
        control.stop()
        # not through a buffered stream: this may interrupt a write to that very stream
        os.write(2, b"\nstopping after this step; Ctrl-C again to stop at once\n")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def silence() -> None:
    """Print no more: who read the output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
