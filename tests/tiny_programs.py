"""Programs that answer compd's frames, or fail to; of the standard library: they start at once."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

__all__ = ["ONE_AFTER_ANOTHER", "example", "pids_of", "program"]

_EXAMPLE = Path(__file__).parent.parent / "docs" / "device_bridge.py"
ONE_AFTER_ANOTHER = "say()\nwhile True: answer(*take())"

_HEAD = """
import json, os, signal, struct, sys, time
H = struct.Struct("<4sIII")
def put(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
def say(**more):
    said = {"compd": 1, "classes": 3, "input": [3, 4, 4], "device": "fake", **more}
    put(json.dumps(said).encode() + b"\\n")
def take():
    header = sys.stdin.buffer.read(16)
    if not header:
        sys.exit()
    kind, number, count, size = H.unpack(header)
    assert kind == b"CMPq" and size == 48 * count
    with open(here + "/frames", "a") as file:
        file.write(f"{count}\\n")
    return number, count, sys.stdin.buffer.read(size)
def answer(number, count, pixels, classes=3, kind=b"CMPr", cut=0):
    sums = [sum(pixels[at : at + 16]) / 16 for at in range(0, len(pixels), 16)]
    if classes != 3:
        sums = [1.0] * classes * count
    body = struct.pack(f"<{len(sums)}f", *sums)
    put(H.pack(kind, number, count, len(body) - cut) + body[: len(body) - cut])
def first():
    'Whether this is the first of all starts.'
    with open(here + "/starts") as file:
        return len(file.read().split()) == 1
here = os.path.dirname(os.path.abspath(__file__))
with open(here + "/starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
"""


def program(folder: Path, body: str = ONE_AFTER_ANOTHER) -> str:
    """Write a program, for images of 3 x 4 x 4 and 3 classes, whose logits are the channels' means.

    Args:
        folder: that it is written to.
        body: what it does, with ``say``, ``take``, ``answer``, ``put`` and ``first``.

    Returns:
        The command.
    """
    folder.mkdir(exist_ok=True)
    file = folder / "answers.py"
    file.write_text(f"{_HEAD}\n{body}\n")
    return "cmd: " + shlex.join([sys.executable, "-I", "-S", str(file)])


def pids_of(folder: Path) -> list[int]:
    """Of each start of the program that was written to a folder."""
    return [int(line) for line in (folder / "starts").read_text().split()]


def example(file: Path) -> str:
    """The command of the documentation's example, for a model's file."""
    return "cmd: " + shlex.join([sys.executable, str(_EXAMPLE), str(file)])
