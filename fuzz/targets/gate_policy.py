"""The table ``[tool.compd.gate]`` of a ``pyproject.toml``."""

from __future__ import annotations

from collections.abc import Iterator

from targets.contract import only_compd_errors

try:
    from compd.gate.policy import Policy
except ImportError:
    Policy = None
    MISSING = "there is no compd.gate.policy yet"

__all__ = ["WORDS", "entry", "seeds"]

WORDS = (
    b"[tool.compd.gate]", b"[[tool.compd.gate]]", b"=", b'"', b"'", b'"""', b"true", b"false",
    b"inf", b"nan", b"0x", b"1979-05-27", b"[", b"]", b"{", b"}", b"#", b"\n", b"\xff", b"\\u0000",
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    """No table, and an empty one."""
    yield from (b"", b"[project]\nname = 'x'\n", b"[tool.compd.gate]\n")


def entry(data: bytes) -> None:
    """Read the table."""
    if Policy is not None:
        with only_compd_errors():
            Policy.from_toml(data, "pyproject.toml")
