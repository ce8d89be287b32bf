"""The table ``[tool.compd.gate]`` of a ``pyproject.toml``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from compd.gating import Policy
from targets.contract import only_compd_errors

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    b"[tool.compd.gate]",
    b"[[tool.compd.gate]]",
    b"=",
    b'"',
    b"'",
    b'"""',
    b"true",
    b"false",
    b"inf",
    b"nan",
    b"0x",
    b"1979-05-27",
    b"[",
    b"]",
    b"{",
    b"}",
    b"#",
    b"\n",
    b"\xff",
    b"\\u0000",
    *(field.name.replace("_", "-").encode() for field in fields(Policy)),
)


def seeds() -> Iterator[bytes]:
    """No table, an empty one, and some keys."""
    yield from (b"", b"[project]\nname = 'x'\n", b"[tool.compd.gate]\n")
    yield b"[tool.compd.gate]\nmin-severity = 0.2\nmax-new = 0\nonly-replay = true\n"
    yield b"[tool.compd.gate]\nseeds = 50\ntime = 1.5\neps = 8\ngoal = 'severe'\n"


def entry(data: bytes) -> None:
    """Read the table."""
    with only_compd_errors():
        Policy.from_toml(data, "pyproject.toml")
