"""What a program writes that answers in a model's place: its first line, and a reply."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

from compd.runtimes.bridge.wire import Replies, read_handshake
from targets.contract import Broken, only_compd_errors

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    *(b"CMPr", b"CMPe", b'"compd": 1', b'"classes": 3', b'"input": [3, 8, 8]', b'"batch": 1'),
    *(b'"layout": "NHWC"', b'"output": "probs"', b'"names": []', b'"device": ""'),
)
_NUMBER, _COUNT = 7, 2


def seeds() -> Iterator[bytes]:
    """An answer, an error, and a reply to another frame before the answer."""
    said = {"compd": 1, "classes": 3, "input": [3, 8, 8], "device": "a board", "batch": 4}
    line = json.dumps(said).encode() + b"\n"
    answer = struct.pack("<4sIII6f", b"CMPr", _NUMBER, _COUNT, 24, *range(6))
    stale = struct.pack("<4sIII", b"CMPr", 1, 1, 4) + bytes(4)
    yield line + answer
    yield line + struct.pack("<4sIII", b"CMPe", _NUMBER, 0, 3) + b"hot"
    yield line + stale + answer


def entry(data: bytes) -> None:
    """Take both from the bytes, as if they had come at once."""
    buffer = bytearray(data)
    with only_compd_errors():
        said = read_handshake(buffer)
        if said is None:
            return
        json.dumps(said.to_json())
        numbers = Replies(_NUMBER, _COUNT, said.classes)(buffer)
        if said.most < 1 or (numbers is not None and numbers.shape != (_COUNT, said.classes)):
            raise Broken(f"{said.most} images a frame, numbers {numbers}")
