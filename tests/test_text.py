"""Text from a stranger, fit for a terminal and for one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compd.errors import CompdError, CompdWarning
from compd.text import one_line, printable

ANYTHING = st.text(st.characters(), max_size=60)  # half surrogate pairs as well


@given(ANYTHING)
def test_once_is_enough(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    shown.encode()
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat → dog", "cat → dog"),
        ("猫 👩‍🚀 é", "猫 👩‍🚀 é"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\tb\n", r"a\tb\n"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANYTHING | st.integers(0, 100_000).map(lambda n: "y \x1b" * n))
def test_a_message_is_one_line_of_bearable_length(text: str) -> None:
    for error in (CompdError(text), CompdWarning(text)):
        assert str(error) == one_line(text)
        assert len(str(error).splitlines()) <= 1
        assert len(str(error)) < 2000


def test_a_long_message_keeps_its_ends() -> None:
    line = one_line("expected x, got " + "z" * 10**6 + "; remove it")
    assert line.startswith("expected x, got zzz")
    assert line.endswith("zzz; remove it")
