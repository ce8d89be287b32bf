"""Mutations of JSON that stay JSON: raw bytes seldom get past the first brace."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

__all__ = ["WORDS", "mutate_json", "mutate_lines"]

WORDS = (
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"false",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"0.0",
    b"1e-999",
    b"\\u0000",
    b"\\ud800",
    b"\\u001b[31m",
    b"\\n",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\x00",
)
_HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    255,
    256,
    2**31,
    2**63,
    -(2**63),
    2**64,
    10**30,
    0.5,
    -0.0,
    1e308,
    5e-324,
    "",
    "x",
    "\x1b]0;x\x07",
    "\n",
    "\0",
    "\u202e",
    "../../x",
    "/dev/zero",
    "nan",
    "1e999",
    "9" * 5000,
    "a" * 70_000,
    [],
    {},
    [[]],
    {"": {}},
    [None],
    ["x", "y"],
    [0.5] * 3,
    {"name": "x"},
)
_RAW = ("NaN", "Infinity", "1e999", "-1e999", "9" * 5000, '"\\ud800"', "[" * 3000, '{"a":' * 3000)
_MARK = "\ue000raw\ue000"


def mutate_json(data: bytes, most: int, seed: int) -> bytes:
    """Change one to three places of a JSON text.

    Args:
        data: the text; bytes that are no JSON come back as a text of their own.
        most: bytes at most.
        seed: of all draws.
    """
    draw = random.Random(seed)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = data.decode("latin-1")[:200]
    try:
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            content = _changed(content, draw)
        text = json.dumps(content, ensure_ascii=draw.random() < 0.5)
    except (RecursionError, ValueError, OverflowError):  # too deep, or a part of itself
        return data[:most]
    if _MARK in text or json.dumps(_MARK)[1:-1] in text:
        raw = draw.choice(_RAW)
        text = text.replace(json.dumps(_MARK), raw).replace(f'"{_MARK}"', raw)
    if draw.random() < 0.05:  # a key that comes twice
        text = text.replace("{", '{"name": 0, "label": 1, ', 1)
    return text.encode(errors="surrogatepass")[:most]


def mutate_lines(
    data: bytes, most: int, seed: int, one: Callable[[bytes, int, int], bytes] = mutate_json
) -> bytes:
    """Change one line of a text, or which lines there are."""
    draw = random.Random(seed)
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))
    what = draw.randrange(10)
    if what == 0:
        lines.insert(at, lines[draw.randrange(len(lines))])
    elif what == 1:
        del lines[at]
    elif what == 2:
        lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
    else:
        lines[at] = one(lines[at], most, draw.randrange(2**31))
    return b"\n".join(lines)[:most]


def _changed(content: Any, draw: random.Random) -> Any:
    """The content with one place replaced, removed, doubled or nested."""
    place: Any = content
    parent: Any = None
    key: Any = None
    while isinstance(place, dict | list) and place and draw.random() < 0.8:
        parent, key = (
            place,
            draw.choice(list(place) if isinstance(place, dict) else range(len(place))),
        )
        place = parent[key]
    new = _replacement(place, draw)
    if parent is None:
        return new
    what = draw.randrange(8)
    if what == 0:
        del parent[key]
    elif what == 1 and isinstance(parent, list):
        flat = not isinstance(place, dict | list)  # a list of lists of lists would never end
        parent.extend([place] * draw.choice((1, 2, 300 if flat else 3)))
    elif what == 2 and isinstance(parent, dict):
        parent[str(draw.choice(_HOSTILE))[:80]] = place
    else:
        parent[key] = new
    return content


def _replacement(place: Any, draw: random.Random) -> Any:
    what = draw.randrange(6)
    if what == 0 and isinstance(place, int | float) and not isinstance(place, bool):
        return place + draw.choice((-1, 1, 0.5, 2**31))
    if what == 1 and isinstance(place, str) and place:
        at = draw.randrange(len(place))
        return (
            place[:at]
            + draw.choice(("", "\0", "\x1b", "\n", "/", "..", "\ud800", "é"))
            + place[at + 1 :]
        )
    if what == 2:
        return _MARK
    if what == 3:
        for _ in range(draw.choice((1, 5, 40, 600))):
            place = [place] if draw.random() < 0.5 else {"a": place}
        return place
    return copy.deepcopy(draw.choice(_HOSTILE))  # it may be changed in its turn
