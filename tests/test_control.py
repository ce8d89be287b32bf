"""A control tells of progress, ends a task, and adds up the time inside models."""

from __future__ import annotations

import threading

import pytest

from compd.control import QUIET, Control, Progress
from compd.errors import Stopped


def test_progress_is_told_as_it_comes() -> None:
    heard: list[Progress] = []
    control = Control(heard.append)
    control.report("searching", 1, 3, {"found": "2"})
    assert heard == [Progress("searching", 1, 3, {"found": "2"})]


def test_a_quiet_control_tells_nobody_and_is_ended_with_the_other() -> None:
    heard: list[Progress] = []
    control = Control(heard.append)
    quiet = control.quiet
    quiet.report("a part", 1, 2)
    assert heard == []
    with quiet.clock.running():
        pass
    assert control.clock.seconds == quiet.clock.seconds > 0
    control.stop()
    assert quiet.stopped
    control.report("the whole", 2, 2)
    assert len(heard) == 1


def test_another_thread_ends_a_task() -> None:
    control = Control()
    control.check()
    thread = threading.Thread(target=control.stop)
    thread.start()
    thread.join()
    with pytest.raises(Stopped):
        control.check()


def test_tasks_that_nobody_watches_are_never_stopped() -> None:
    QUIET.report("nobody", 1, 1)
    assert not QUIET.stopped


def test_a_timed_control_has_a_clock_of_its_own_and_the_whole_counts_it() -> None:
    control = Control()
    first, second = control.timed, control.timed
    first.clock.add(2.0)
    second.clock.add(0.5)
    assert (first.clock.seconds, second.clock.seconds, control.clock.seconds) == (2.0, 0.5, 2.5)
    control.stop()
    assert first.stopped
