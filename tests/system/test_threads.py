"""Threads wait without spinning while other processes want their cores."""

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from compd.system.machine import cpu_quota
from compd.system.threads import Throttle, Usage, Watch, usage_now

TELLS = usage_now() is not None
needs_load = pytest.mark.skipif(not TELLS, reason="the system does not tell its load")


def libgomp() -> ctypes.CDLL:
    library = ctypes.CDLL(torch._C.__file__)
    if not hasattr(library, "GOMP_parallel"):
        pytest.skip("PyTorch's OpenMP is not libgomp")
    return library


def usage(at: float, busy: float, own: float, cores: int = 2) -> Usage:
    return Usage(at, busy, own, cores)


class Switch:
    """A throttle that only notes what it is told."""

    def __init__(self, threads: int = 2) -> None:
        self.on, self.threads = False, threads

    def start(self) -> None:
        self.on = True

    def stop(self) -> None:
        self.on = False


@pytest.mark.parametrize(
    ("busy", "own", "cores", "threads", "crowded"),
    [
        (2.0, 2.0, 2, 2, False),  # we alone
        (2.0, 1.0, 2, 2, True),  # one core is another's
        (2.0, 1.0, 2, 1, False),  # which leaves one for our only thread
        (1.1, 1.0, 2, 2, False),  # little else
        (3.0, 2.0, 4, 2, False),  # others have cores of their own
        (4.0, 2.0, 4, 3, True),
        (0.9, 1.0, 2, 2, False),  # clocks that differ
    ],
)
def test_what_crowds(busy: float, own: float, cores: int, threads: int, crowded: bool) -> None:
    before = usage(10.0, 5.0, 3.0, cores)
    after = usage(11.0, 5.0 + busy, 3.0 + own, cores)
    assert after.crowded(before, threads) is crowded


def test_on_at_once_and_off_after_a_while() -> None:
    switch, now = Switch(), usage(0.0, 0.0, 0.0)
    watch = Watch(switch, now)  # type: ignore[arg-type]
    seen = []
    for others in [0, 0, 1, 0, 0, 1] + [0] * 12:
        now = usage(now.at + 1, now.busy + 1 + others, now.own + 1)
        watch.look(now)
        seen.append(switch.on)
    assert seen[:3] == [False, False, True]
    assert all(seen[2:13])  # a pause of two looks is none; eight are
    assert not any(seen[13:])


def test_the_number_of_threads_may_change() -> None:
    before, after = usage(0.0, 0.0, 0.0), usage(1.0, 2.0, 1.0)
    for threads, on in ((1, False), (2, True)):
        switch = Switch(threads=8)
        watch = Watch(switch, before)  # type: ignore[arg-type]
        switch.threads = threads
        watch.look(after)
        assert switch.on is on


def test_a_limited_group_is_the_whole_machine(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "cpu.stat").write_text("usage_usec 7500000\nuser_usec 7000000\n")
    found = usage_now(tmp_path)
    assert found is not None
    assert (found.cores, found.busy) == (2, 7.5)
    assert cpu_quota(tmp_path) == 2
    (tmp_path / "cpu.stat").write_text("nothing\n")
    assert usage_now(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cpu_quota(tmp_path) is None
    assert cpu_quota(tmp_path / "missing") is None


LIMITED = """
import ctypes, os, resource
import torch
from compd.system.threads import Throttle

throttle = Throttle(ctypes.CDLL(torch._C.__file__), 2)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.getuid() == 0:
    os.setuid(65534)  # there is no limit for the superuser
throttle.start()
print(throttle.on)
"""


@needs_load
def test_where_no_thread_can_be_started_nothing_ends() -> None:
    libgomp()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


@needs_load
def test_a_busy_process_is_seen() -> None:
    before = usage_now()
    assert before is not None
    spin = "import time; end = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    after = usage_now()
    assert after is not None
    assert (after.busy - before.busy) - (after.own - before.own) > 0.4  # seconds of a core


SWITCHES = """
import ctypes, sys
from pathlib import Path
import torch
from compd.system.threads import Throttle

torch.set_num_threads(2)
x = torch.rand(1 << 20)

def sleeps():  # of the second OpenMP thread
    before = set(Path("/proc/self/task").iterdir())
    x.relu_()
    (worker,) = set(Path("/proc/self/task").iterdir()) - before or {None}
    worker = worker or sleeps.worker
    sleeps.worker = worker
    def count():
        lines = (worker / "status").read_text().splitlines()
        return int(next(l for l in lines if l.startswith("voluntary")).split()[1])
    first = count()
    for _ in range(100):
        x.relu_()
        sum(range(2000))  # longer than a hundred rounds, shorter than three milliseconds
    return count() - first

sleeps.worker = None
alone = sleeps()
throttle = Throttle(ctypes.CDLL(torch._C.__file__), 2)
throttle.start()
print(alone, sleeps())
"""


@needs_load
def test_threads_sleep_at_barriers_while_it_is_on() -> None:
    libgomp()
    found = subprocess.run(
        [sys.executable, "-c", SWITCHES],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    _, throttled = map(int, found.stdout.split())
    assert throttled >= 90


@needs_load
def test_its_threads_end_with_it() -> None:
    throttle = Throttle(libgomp(), 2)
    for _ in range(2):
        assert not throttle.on
        throttle.start()
        throttle.start()  # no second pool
        (holder,) = [t for t in threading.enumerate() if t.name == "compd-throttle"]
        assert throttle.on
        throttle.stop()
        holder.join(20)
        assert not holder.is_alive()


def test_the_environment_has_the_last_word() -> None:
    code = "from compd.system.threads import throttle_spinning; print(throttle_spinning())"
    for name, value in (("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5")):
        found = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), name: value},
        )
        assert found.stdout.strip() == "False"
