"""What goes over the pipes of a bridge: one line that says what is there, then frames.

A frame is a header of 16 bytes and what it announces, all little-endian. docs/runtimes.md has the
same for whoever writes the program.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compd.errors import CompdError, brief
from compd.runtimes.formats import LAYOUTS
from compd.runtimes.outputs import OUTPUTS
from compd.text import shortened

__all__ = ["MOST_BYTES", "BrokenAnswerError", "Handshake", "Replies", "read_handshake", "request"]

_VERSION = 1
_HEADER = struct.Struct("<4sIII")  # what it is, number of the frame, images, bytes that follow
_REQUEST, _ANSWER, _ERROR = b"CMPq", b"CMPr", b"CMPe"
MOST_BYTES = 1 << 28  # of a frame's pixels or numbers
_LONGEST_LINE = 1 << 20  # bytes
_LONGEST_TEXT = 1 << 16  # bytes of what the program says of an error
_MOST_CLASSES = 1 << 17
_MOST_PIXELS = 1 << 26  # numbers of one image
_MOST_FACTS = 64  # of the first line
_LONGEST_FACT = 80  # characters
_MOST_STALE = 16  # replies to other frames, before one is taken for broken
_OWN = ("compd", "classes", "input", "layout", "output", "batch", "names")


class BrokenAnswerError(CompdError):
    """The program wrote something else than what was to come."""


@dataclass(frozen=True)
class Handshake:
    """What the program says of itself, before anything is asked."""

    line: bytes  # without the end of the line
    classes: int  # numbers an image
    shape: tuple[int, int, int]  # of an image, as it is sent
    layout: str | None = None
    output: str | None = None
    batch: int | None = None  # images a frame at most
    names: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # whatever else it says

    @property
    def text(self) -> str:
        """The line, for messages."""
        return shortened(self.line.decode(errors="replace"), 160)

    @property
    def device(self) -> str:
        """Its name; empty if it does not say one."""
        return self.facts.get("device", "")

    def to_json(self) -> dict[str, str]:
        """All of it but the names, for fingerprints."""
        own = {"classes": self.classes, "input": self.shape, "layout": self.layout}
        own |= {"output": self.output, "batch": self.batch}
        return {"handshake": json.dumps(own), **self.facts}

    @property
    def most(self) -> int:
        """Images a frame, at least one."""
        height, width, depth = self.shape
        room = MOST_BYTES // max(height * width * depth, 4 * self.classes)
        return max(1, min(room, self.batch or room))


def read_handshake(buffer: bytearray) -> Handshake | None:
    """Take the first line from what has come; None if its end has not come yet.

    Raises:
        BrokenAnswerError: if it cannot be that line.
    """
    line, end, _ = buffer.partition(b"\n")
    if len(line) > _LONGEST_LINE:
        raise BrokenAnswerError(
            f"expected one JSON line of at most {_LONGEST_LINE >> 10} KiB first, got a longer one"
        )
    if not end:
        return None
    del buffer[: len(line) + 1]
    try:
        said = json.loads(line)
        if not isinstance(said, dict) or "compd" not in said:
            raise TypeError("no object with the key 'compd'")
        return _handshake(bytes(line).strip(), said)
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenAnswerError(
            'expected one JSON line such as {"compd": 1, "classes": 10, "input": [3, 32, 32]} '
            f"first, got {shortened(line.decode(errors='replace'), 80)!r} ({brief(error, 80)}); "
            "what it says to people goes to standard error"
        ) from error


def _handshake(line: bytes, said: Mapping[str, Any]) -> Handshake:
    """Read the first line's keys.

    Raises:
        ValueError: names the key that is not what it should be.
    """
    if said["compd"] != _VERSION:
        raise ValueError(f"compd={_short(said['compd'])}, where this is version {_VERSION}")
    shape, names = said.get("input"), said.get("names", [])
    if not (
        isinstance(shape, list)
        and len(shape) == 3
        and all(type(side) is int and 0 < side <= _MOST_PIXELS for side in shape)
        and shape[0] * shape[1] * shape[2] <= _MOST_PIXELS
    ):
        raise ValueError(f"input={_short(shape)}, where three numbers are to be")
    classes = _whole(said, "classes", _MOST_CLASSES)
    if classes is None:
        raise ValueError("classes are missing")
    if not isinstance(names, list) or (names and len(names) != classes):
        raise ValueError(f"names={_short(names)}, where {classes} texts are to be")
    facts = {
        shortened(key, _LONGEST_FACT): shortened(str(value), _LONGEST_FACT)
        for key, value in said.items()
        if key not in _OWN
    }
    if len(facts) > _MOST_FACTS:
        raise ValueError(f"{len(facts)} facts")
    return Handshake(
        line,
        classes,
        (shape[0], shape[1], shape[2]),
        _one_of(said, "layout", LAYOUTS),
        _one_of(said, "output", OUTPUTS),
        _whole(said, "batch", MOST_BYTES),
        tuple(map(str, names)),
        facts,
    )


def _whole(said: Mapping[str, Any], key: str, most: int) -> int | None:
    value = said.get(key)
    if value is not None and (type(value) is not int or not 0 < value <= most):
        raise ValueError(f"{key}={_short(value)}, where a number of 1 to {most} is to be")
    return value


def _one_of(said: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str | None:
    value = said.get(key)
    if value is not None and value not in known:
        raise ValueError(f"{key}={_short(value)}, where one of {', '.join(known)} is to be")
    return value


def _short(value: object) -> str:
    return shortened(repr(value), 40)


def request(number: int, images: NDArray[np.uint8]) -> bytes:
    """A frame that asks about images.

    Args:
        number: of the frame.
        images: (N, …), as the program takes them.
    """
    pixels = images.tobytes()
    return _HEADER.pack(_REQUEST, number, len(images), len(pixels)) + pixels


class Replies:
    """Takes the reply to one frame from what has come; replies to other frames are dropped.

    Args:
        number: of the frame.
        count: its images.
        classes: numbers an image.
    """

    def __init__(self, number: int, count: int, classes: int) -> None:
        self._number, self._count, self._classes = number, count, classes
        self.stale: list[int] = []  # the frames that dropped replies were to

    def __call__(self, buffer: bytearray) -> NDArray[np.float32] | None:
        """float32 (count, classes); None if it has not come yet.

        Raises:
            BrokenAnswerError: if it cannot be a reply, or says that there is an error.
        """
        while True:
            _check_start(buffer)
            if len(buffer) < _HEADER.size:
                return None
            kind, number, count, size = _HEADER.unpack_from(buffer)
            ours = number == self._number
            if ours and kind == _ANSWER:
                self._check_size(count, size)
            elif size > (_LONGEST_TEXT if kind == _ERROR else MOST_BYTES):
                raise BrokenAnswerError(
                    f"expected a reply to frame {self._number}, got {size} bytes"
                )
            if len(buffer) < _HEADER.size + size:
                return None
            body = bytes(memoryview(buffer)[_HEADER.size : _HEADER.size + size])
            del buffer[: _HEADER.size + size]
            if not ours:
                self._drop(number)
            elif kind == _ERROR:
                text = shortened(body.decode(errors="replace"), 200)
                raise BrokenAnswerError(f"expected {self._count} answers, got its error: {text!r}")
            else:
                return np.frombuffer(body, "<f4").astype(np.float32).reshape(count, self._classes)

    def _check_size(self, count: int, size: int) -> None:
        if (count, size) != (self._count, 4 * self._count * self._classes):
            raise BrokenAnswerError(
                f"expected answers to {self._count} images with {self._classes} numbers each "
                f"({4 * self._count * self._classes} bytes), got {count} images in {size} bytes"
            )

    def _drop(self, number: int) -> None:
        self.stale.append(number)
        if len(self.stale) > _MOST_STALE:
            raise BrokenAnswerError(
                f"expected a reply to frame {self._number}, got {len(self.stale)} to others, the "
                f"last to frame {number}"
            )


def _check_start(buffer: bytearray) -> None:
    """Raise unless what has come is the start of a reply."""
    start = bytes(buffer[:4])
    if not any(kind.startswith(start) for kind in (_ANSWER, _ERROR)):
        raise BrokenAnswerError(
            f"expected a reply that starts with {_ANSWER.decode()} or {_ERROR.decode()}, got "
            f"{bytes(buffer[:24])!r}; what it says to people goes to standard error"
        )
