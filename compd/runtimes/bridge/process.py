"""A program that runs beside us: its pipes with deadlines, its end, and that it does come to one.

It is a session of its own, so that Ctrl-C reaches it through us, once its frame is done. However we
end, it ends: by :func:`weakref.finalize` where Python still runs, and else by a shell that waits
for our end of a pipe to close.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable
from typing import IO, TypeVar

from compd.errors import InputError, UnavailableError
from compd.files.programs import Program
from compd.text import shortened

try:
    import fcntl
except ImportError:  # Windows, where no program is started
    fcntl = None  # type: ignore[assignment]

__all__ = ["Failed", "Late", "Process"]

T = TypeVar("T")

_CHUNK = 1 << 18  # bytes of one read or write
_PIPE = 1 << 20  # bytes that a pipe holds, where that can be set
_KEPT = 1 << 13  # bytes of standard error
_GRACE = 1.0  # seconds from the end of its input to the end of it
# Ends the group when nobody holds the other end of its input any more.
_GUARD = 'read -r _; kill -s KILL -- "-$1"'


class Failed(Exception):  # noqa: N818 - it is no error yet: the program may be started again
    """The program ended, or gave no answer in time."""


class Late(Failed):
    """It gave no answer in time."""


class Process:
    """A program that was started.

    Args:
        program: what to start.

    Raises:
        CompdError: if it cannot be started.
    """

    def __init__(self, program: Program) -> None:
        if os.name != "posix":
            raise UnavailableError(
                "expected Linux or macOS to run a program as the deployed model, got Windows; "
                "record its outputs: compd export-inputs"
            )
        try:
            running = subprocess.Popen(
                program.words,
                cwd=program.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(
                f"expected a program that can be started, got {shlex.join(program.words)!r} "
                f"({error.strerror})"
            ) from error
        try:
            guard = _guard(running.pid)
        except BaseException:
            running.kill()
            raise
        self._end = weakref.finalize(self, _end, running, guard, os.getpid(), _GRACE)
        self._running = running
        self._into, self._out = _pipe(running.stdin), _pipe(running.stdout)
        self._words = _Words(_pipe(running.stderr))
        self._buffer = bytearray()  # what has come and was not taken yet
        for pipe in (self._into, self._out):
            os.set_blocking(pipe.fileno(), False)
            _widen(pipe.fileno())

    def transfer(self, data: bytes, take: Callable[[bytearray], T | None], seconds: float) -> T:
        """Write bytes while reading an answer.

        Args:
            data: to write.
            take: takes the answer from what has come; None if it is not whole yet.
            seconds: that all of it may last.

        Raises:
            Failed: if the program ends; :class:`Late` if it takes longer.
        """
        end, left, found = time.monotonic() + seconds, memoryview(data), None
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            if left:
                selector.register(self._into, selectors.EVENT_WRITE)
            while True:
                found = take(self._buffer) if found is None else found
                if found is not None and not left:
                    return found
                if time.monotonic() > end:
                    unread = f", and left {len(left)} bytes of the frame unread" if left else ""
                    raise Late(f"gave no whole answer within {seconds:g} s{unread}")
                for key, _ in selector.select(max(0.0, end - time.monotonic())):
                    if key.fileobj is self._out:
                        self._read()
                        continue
                    left = left[self._write(left) :]
                    if not left:
                        selector.unregister(self._into)

    def stop(self, *, at_once: bool = False) -> None:
        """End it: by the end of its input, or, where that takes longer than a second, by force."""
        alive = self._end.detach()
        if alive is not None:
            running, guard, owner, grace = alive[2]
            _end(running, guard, owner, 0.0 if at_once else grace)

    def last_words(self) -> str:
        """The last line that it wrote on standard error, once it has ended; empty for none."""
        return self._words.last()

    def _read(self) -> None:
        data = os.read(self._out.fileno(), _CHUNK)
        self._buffer += data
        if not data:
            try:
                status = self._running.wait(_GRACE)
            except subprocess.TimeoutExpired:
                raise Failed("closed its standard output") from None
            how = f"with status {status}" if status >= 0 else f"by signal {-status}"
            raise Failed(f"ended {how}")

    def _write(self, left: memoryview) -> int:
        """Write some of it; returns how much need not be written again."""
        try:
            return os.write(self._into.fileno(), left[:_CHUNK])
        except BlockingIOError:
            return 0
        except BrokenPipeError:  # nobody reads it; what was answered before says more
            return len(left)


class _Words:
    """The end of what a program writes on standard error; a thread reads it, so that it can go on.

    Args:
        pipe: to read from.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._kept = b""
        self._thread = threading.Thread(target=self._drain, args=(pipe,), daemon=True)
        self._thread.start()

    def last(self) -> str:
        """The last line that is not empty."""
        self._thread.join(_GRACE)
        lines = self._kept.decode(errors="replace").split("\n")
        return next((shortened(line, 200) for line in reversed(lines) if line.strip()), "")

    def _drain(self, pipe: IO[bytes]) -> None:
        with pipe:
            while data := pipe.read(_CHUNK):
                self._kept = (self._kept + data)[-_KEPT:]


def _guard(group: int) -> subprocess.Popen[bytes]:
    """A shell that waits until we are gone, whatever ends us, and then ends the group."""
    return subprocess.Popen(
        ("/bin/sh", "-c", _GUARD, "sh", str(group)),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,
    )


def _end(
    running: subprocess.Popen[bytes], guard: subprocess.Popen[bytes], owner: int, grace: float
) -> None:
    """End a program and all that it has started in its group.

    Args:
        running: the program.
        guard: of :func:`_guard`.
        owner: the process that started both; a fork of it leaves them alone.
        grace: seconds that the program has after the end of its input, to put things in order.
    """
    if os.getpid() != owner:
        return
    guard.kill()  # before its input ends, which it would take for our end
    guard.wait()
    into, out = _pipe(running.stdin), _pipe(running.stdout)
    for pipe in (_pipe(guard.stdin), into):
        pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        _read_out(out, grace)
        running.wait(min(grace, 0.1))
    with contextlib.suppress(ProcessLookupError, PermissionError):  # there is nobody any more
        os.killpg(running.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # of a driver that does not let it go
        running.wait(_GRACE)
    out.close()


def _read_out(out: IO[bytes], seconds: float) -> None:
    """Read until all that write there have ended."""
    end = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        while (left := end - time.monotonic()) > 0 and selector.select(left):
            if not os.read(out.fileno(), _CHUNK):
                return


def _widen(pipe: int) -> None:
    """Let a pipe hold a frame, so that both sides are woken up less often."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):  # Linux
        with contextlib.suppress(OSError):  # a user may have so much of them, and no more
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)


def _pipe(one: IO[bytes] | None) -> IO[bytes]:
    assert one is not None  # each was asked for
    return one
