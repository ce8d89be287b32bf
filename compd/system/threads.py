"""Threads that share their cores with other processes.

PyTorch's OpenMP threads (of libgomp) spin at each barrier, for milliseconds, until the last one is
there: the fastest way to wait, on cores of one's own. Where another process takes a core, the
thread that is waited for is the one without, and each barrier lasts until the system gives it a
slice of time. Everything is 6 to 50 times slower then (``benchmarks/commands.py``).

libgomp spins for a moment only where a process has more OpenMP threads than there are cores (its
manual, ``GOMP_SPINCOUNT``: 100 rounds instead of 300,000). So as long as others want the cores,
idle threads are kept that make it so. They compute nothing, and no answer depends on them.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from compd.system.machine import GROUP, cpu_quota

__all__ = ["Throttle", "Usage", "Watch", "throttle_spinning", "usage_now"]

_PERIOD = 0.25  # seconds between two looks at the load
_CROWDED = 0.25  # of a core, that others want and that is not free
_SPARE = 8  # threads that must be left to the process when some are taken
_CALM = 8  # looks in a row without that, until threads spin again
_CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # by the user, who has the last word

_lock = threading.Lock()
_throttle: Throttle | None = None


@dataclass(frozen=True)
class Usage:
    """Processor time, so far, on the cores that this process may use."""

    at: float  # seconds of a clock
    busy: float  # seconds that these cores worked, for whomever
    own: float  # seconds of this process
    cores: int

    def others(self, before: Usage) -> float:
        """How many cores other processes took, on average since ``before``."""
        seconds = max(self.at - before.at, 1e-9)
        taken = (self.busy - before.busy) - (self.own - before.own)
        return max(0.0, taken / seconds)

    def crowded(self, before: Usage, threads: int) -> bool:
        """Whether so many threads of ours had to share cores with others since ``before``."""
        free = max(0, self.cores - threads)
        return threads > 1 and self.others(before) > free + _CROWDED


def usage_now(group: Path = GROUP) -> Usage | None:
    """Read the system's counters; None where it has none (it is not Linux).

    Where a control group limits the time of all its processes (a container with so many CPUs), the
    limit takes the place of the cores, and the group that of the system.
    """
    quota = cpu_quota(group)
    if quota is not None:
        try:
            lines = (group / "cpu.stat").read_text().splitlines()
            busy = int(dict(line.split() for line in lines)["usage_usec"]) / 1e6
        except (OSError, ValueError, KeyError):
            return None
        return Usage(time.monotonic(), busy, time.process_time(), quota)
    try:
        mine = {f"cpu{i}" for i in os.sched_getaffinity(0)}
        tick = os.sysconf("SC_CLK_TCK")
        rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except (OSError, AttributeError, ValueError):
        return None
    counts = [[int(n) for n in row[1:9]] for row in rows if row and row[0] in mine]
    if not counts or any(len(row) < 8 for row in counts):
        return None
    # user nice system idle iowait irq softirq steal
    busy = sum(sum(row) - row[3] - row[4] for row in counts) / tick
    return Usage(time.monotonic(), busy, time.process_time(), len(counts))


class Throttle:
    """Keeps OpenMP threads of this process from spinning while it is on.

    Args:
        openmp: the loaded libgomp, or a library that was linked to it.
        threads: that PyTorch's operators use.

    Raises:
        AttributeError: if it is another OpenMP.
    """

    def __init__(self, openmp: ctypes.CDLL, threads: int) -> None:
        if hasattr(openmp, "kmp_set_blocktime"):  # LLVM's and Intel's know libgomp's calls, too
            raise AttributeError("expected libgomp, got another OpenMP")
        self._run, self._processors = openmp.GOMP_parallel, openmp.omp_get_num_procs
        self.threads = threads
        self._end: threading.Event | None = None

    @property
    def on(self) -> bool:
        """Whether threads are kept from spinning."""
        return self._end is not None

    def start(self) -> None:
        """Keep so many threads idle that there is one more than cores; none if that fails."""
        if self._end is not None:
            return
        more = max(2, self._processors() - self.threads + 2)  # the first of them is not counted
        if not _can_start(more):  # libgomp would end the process
            return
        self._end, ready = threading.Event(), threading.Event()
        arguments = (more, ready, self._end)
        threading.Thread(
            target=self._hold, args=arguments, name="compd-throttle", daemon=True
        ).start()
        ready.wait()

    def stop(self) -> None:
        """Let these threads go: libgomp ends a pool with the thread that began it."""
        if self._end is not None:
            self._end.set()
            self._end = None

    def _hold(self, threads: int, ready: threading.Event, end: threading.Event) -> None:
        try:
            nothing = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p)  # of NULL: nothing
            self._run(nothing, None, ctypes.c_uint(threads), ctypes.c_uint(0))
        finally:
            ready.set()
        end.wait()


def _can_start(threads: int) -> bool:
    """Whether the system lets this process have so many more threads, and a few."""
    end, started = threading.Event(), []
    try:
        for _ in range(threads + _SPARE):
            one = threading.Thread(target=end.wait, daemon=True)
            one.start()
            started.append(one)
        return True
    except RuntimeError:
        return False
    finally:
        end.set()
        for one in started:
            one.join()


def throttle_spinning(threads: int | None = None) -> bool:
    """From now on, let PyTorch's threads wait without spinning while others want their cores.

    A background thread looks at the load four times a second. Call it once PyTorch is loaded, and
    again when the number of threads has changed.

    Args:
        threads: that PyTorch's operators use; None to ask it.

    Returns:
        Whether that is done: not where the environment says how to wait (``OMP_WAIT_POLICY``,
        ``GOMP_SPINCOUNT``), nor where PyTorch's OpenMP is not libgomp or the load is not told.
    """
    global _throttle
    first = usage_now()
    if first is None or any(name in os.environ for name in _CHOSEN):
        return False
    import torch

    threads = threads or torch.get_num_threads()
    with _lock:
        if _throttle is not None:
            _throttle.threads = threads
            return True
        try:
            _throttle = Throttle(ctypes.CDLL(torch._C.__file__), threads)
        except (OSError, AttributeError):
            return False
        watch = Watch(_throttle, first)
        threading.Thread(target=watch.run, name="compd-load", daemon=True).start()
    return True


class Watch:
    """Turns a throttle on when others want our cores, and off when they have left for a while.

    Args:
        throttle: to turn; knows how many threads PyTorch's operators use.
        first: the load to begin with.
    """

    def __init__(self, throttle: Throttle, first: Usage) -> None:
        self._throttle = throttle
        self._before, self._calm = first, 0

    def look(self, now: Usage) -> None:
        """Decide by the load since the last look."""
        crowded = now.crowded(self._before, self._throttle.threads)
        self._before = now
        self._calm = 0 if crowded else self._calm + 1
        if crowded:
            self._throttle.start()
        elif self._calm >= _CALM:
            self._throttle.stop()

    def run(self) -> None:
        """Look four times a second, as long as the system tells."""
        time.sleep(_PERIOD)
        while (now := usage_now()) is not None:
            self.look(now)
            time.sleep(_PERIOD)
