"""Progress as plain lines, where nobody watches a bar."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from compd.cli import display
from compd.cli.display import live


def test_a_stage_that_begins_again_has_its_own_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: clock[0])
    told = [
        (0, "searching", 0),
        (3, "searching", 2),
        (6, "searching", 5),
        (9, "searching", 10),
        (9, "verdict", 1),
        (100, "searching", 0),
        (106, "searching", 2),
        (109, "searching", 10),
        (109, "verdict", 2),
    ]
    with live() as control:
        for seconds, stage, done in told:
            clock[0] = float(seconds)
            control.report(stage, done, 10)
    assert capsys.readouterr().err.splitlines() == [
        "searching: 0/10",
        "searching: 5/10    6 s left",
        "searching: 10/10",
        "verdict: 1/10",
        "searching: 0/10",
        "searching: 2/10    24 s left",
        "searching: 10/10",
        "verdict: 2/10    400 s left",
    ]


def test_a_bar_that_begins_again_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, drawn = [0.0], io.StringIO()
    console = Console(file=drawn, force_terminal=True, width=100, get_time=lambda: clock[0])
    monkeypatch.setattr(display, "Console", lambda stderr: console)
    with live() as control:
        for seconds, done in ((0, 0), (40, 10), (100, 0), (106, 3), (112, 6)):
            clock[0] = float(seconds)
            control.report("searching", done, 10)
        clock[0] += 1  # what was drawn a moment ago is not drawn anew
    last = [line for line in drawn.getvalue().splitlines() if "searching" in line][-1]
    assert "6/10" in last
    assert "00:08" in last  # four more, at a half a second


def test_the_bar_is_whole_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, drawn = [0.0], io.StringIO()
    console = Console(
        file=drawn, force_terminal=True, color_system=None, width=80, get_time=lambda: clock[0]
    )
    monkeypatch.setattr(display, "Console", lambda stderr: console)
    facts = {"found": "12799 (1234.5/s)", "worst": "0.95"}
    with live() as control:
        for done in (0, 3200, 6400):
            clock[0] = done / 400
            control.report("fine-tuning after pruning 75%", done, 12800, facts)
        clock[0] += 1  # what was drawn a moment ago is not drawn anew
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn.getvalue())
    last = [line for line in re.split(r"[\r\n]+", text) if "6400" in line][-1]
    assert len(last) <= 80
    assert "6400/12800 found 12799 (1234.5/s)  worst 0.95 left 00:16" in last
