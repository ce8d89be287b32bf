"""A model that a program answers for: started when it is asked, and started again when it fails."""

from __future__ import annotations

import hashlib
import secrets
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import CompdWarning, ModelError
from compd.files.programs import Program
from compd.runtimes.bridge.process import Failed, Late, Process
from compd.runtimes.bridge.wire import (
    BrokenAnswerError,
    Handshake,
    Replies,
    read_handshake,
    request,
)
from compd.runtimes.openers import sha256_of
from compd.wording import setting

__all__ = ["Deadlines", "Device", "content_hash", "device_of"]

_AGAIN = 2  # times in a row that a program is started again for one frame
_RUNNING: weakref.WeakValueDictionary[Program, Device] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a program may take."""

    start: float = 60.0  # until its first line
    frame: float = 60.0  # from a frame to its reply


class Device:
    """Asks a program about images.

    Args:
        program: to start.
        deadlines: for each start and each frame.

    Raises:
        CompdError: if it cannot be started, or does not say what it should.
    """

    def __init__(self, program: Program, deadlines: Deadlines) -> None:
        self.program, self.deadlines = program, deadlines
        self._lock = threading.Lock()
        # not from one: a serial line may still hold replies to the frames of an earlier run
        self._number = secrets.randbits(32)
        self._process: Process | None = None
        self._starting = False  # whether its first line has not come yet
        with self._ending_on_errors():
            try:
                self.handshake = self._start()
            except Failed as failed:  # most likely a wrong argument: not worth another try
                raise self._refusal("a first line", failed, self._stop()) from failed

    def __call__(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """uint8 (N, …) as the program takes them -> float32 (N, K).

        Raises:
            CompdError: if it fails more often than it is started again, or answers wrongly.
        """
        most = self.handshake.most
        parts = [images[at : at + most] for at in range(0, len(images), most)]
        with self._lock, self._ending_on_errors():
            answers = [self._ask(np.ascontiguousarray(part, np.uint8)) for part in parts]
        return np.concatenate(answers)

    def _ask(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """One frame, asked again of a program that is started again."""
        tries = 0
        while True:
            tries += 1
            try:
                return self._ask_once(images)
            except Failed as failed:
                words = self._stop()
                if tries > _AGAIN:
                    wanted = f"answers to {len(images)} images"
                    raise self._refusal(wanted, failed, words, tries) from failed
                warnings.warn(
                    f"{self._who} {failed}{words}; it is started and asked again",
                    CompdWarning,
                    stacklevel=2,
                )

    def _ask_once(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._process is None and (said := self._start()) != self.handshake:
            raise BrokenAnswerError(
                f"expected the same first line at each start, got {said.text!r} after "
                f"{self.handshake.text!r}"
            )
        assert self._process is not None
        self._number = (self._number + 1) % (1 << 32)
        take = Replies(self._number, len(images), self.handshake.classes)
        try:
            return self._process.transfer(request(self._number, images), take, self.deadlines.frame)
        except Failed as failed:
            if not take.stale:
                raise
            others = f"{len(take.stale)} replies to other frames, the last to {take.stale[-1]}"
            raise type(failed)(f"{failed} (but {others}, not {self._number})") from failed

    def _start(self) -> Handshake:
        self._starting = True
        self._process = Process(self.program)
        said = self._process.transfer(b"", read_handshake, self.deadlines.start)
        self._starting = False
        return said

    def _stop(self) -> str:
        """End the program at once; returns what it said last, for messages."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.stop(at_once=True)
        last = process.last_words()
        return f" (last on its standard error: {last!r})" if last else ""

    @contextmanager
    def _ending_on_errors(self) -> Iterator[None]:
        """End the program if something goes wrong: nobody knows what it would answer to then."""
        try:
            yield
        except BrokenAnswerError as broken:
            words = self._stop()
            raise ModelError(f"{self._who}: {broken.message.raw}{words}") from broken
        except BaseException:  # Ctrl-C, too
            self._stop()
            raise

    def _refusal(self, wanted: str, failed: Failed, words: str, tries: int = 1) -> ModelError:
        """The error for a program that has failed too often."""
        often = "" if tries == 1 else f" failed {tries} times in a row, the last time it"
        advice = ""
        if isinstance(failed, Late):
            word = "start-deadline" if self._starting else "deadline"
            more = setting("deployed_input", f"'{word}=300'")
            advice = f"; {more} lets it take so many seconds"
        return ModelError(
            f"expected {wanted} from {self._who}, which{often} {failed}{words}{advice}"
        )

    @property
    def _who(self) -> str:
        return repr(self.program.name)


def device_of(program: Program, deadlines: Deadlines) -> Device:
    """The device of a program; the one that is there already if it runs, since a port has one user.

    Args:
        program: to start.
        deadlines: of it from now on.
    """
    device = _RUNNING.get(program)
    if device is None:
        device = _RUNNING[program] = Device(program, deadlines)
    device.deadlines = deadlines
    return device


def content_hash(device: Device) -> str:
    """SHA-256 (hex) of the words, the first line, and the words that are files."""
    program = device.program
    parts = ["\0".join(program.words).encode(), device.handshake.line]
    found = hashlib.sha256()
    for part in (*parts, *(sha256_of(file).encode() for file in program.files)):
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()
