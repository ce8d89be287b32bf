"""Progress as plain lines, where nobody watches a bar."""

from __future__ import annotations

import io

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
        for seconds, done in ((0, 0), (40, 10), (100, 0), (106, 3)):
            clock[0] = float(seconds)
            control.report("searching", done, 10)
    last = [line for line in drawn.getvalue().splitlines() if "searching" in line][-1]
    assert "3/10" in last
    assert "0:00:06" in last
