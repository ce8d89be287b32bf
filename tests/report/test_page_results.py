"""Results of commands, read for a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from compd.report.page import read_results, results_of
from compd.report.page.results import parse_results
from compd.report.page.shown import CampaignShown, GateShown, RepairShown
from targets import load

CAMPAIGN, FILES, GATE, REPAIR, SEVERAL, NOTHING = (
    json.loads(seed) for seed in load("report_result").seeds()
)


def test_a_search_is_read_with_intervals_of_its_shares() -> None:
    (found,) = results_of(CAMPAIGN, "a.json")
    assert isinstance(found, CampaignShown)
    assert found.sentence == (
        "pruned: 54 of 64 images flip within 16/255; worst: 7 (99 % sure) becomes 7 (99 % sure)."
    )
    assert found.original is not None
    assert (found.original.count, found.original.of) == (152, 160)
    assert found.original.low == pytest.approx(0.904, abs=1e-3)  # Wilson, 95 %
    assert found.original.high == pytest.approx(0.974, abs=1e-3)
    assert found.deployed is None
    assert (found.natural.count, found.goal, found.severe) == (4, "first", True)


def test_a_search_of_files_without_a_finding_is_read() -> None:
    (found,) = results_of(FILES, "a.json")
    assert isinstance(found, CampaignShown)
    assert found.sentence == "b.onnx: none of 64 images flips, unbounded."
    assert found.pair == "a.onnx and b.onnx on digits, fp32"


def test_a_search_of_several_compressions_gives_each() -> None:
    assert [type(one) for one in results_of(SEVERAL, "a.json")] == [CampaignShown] * 2


def test_a_gate_and_a_repair_are_read() -> None:
    (gate,) = results_of(GATE, "g.json")
    assert isinstance(gate, GateShown)
    assert gate.statuses == {"ab": ("new", "why")}
    assert gate.worse == (("test[1]", "1 → 7", 0.1, 0.9),)
    (repair,) = results_of(REPAIR, "r.json")
    assert isinstance(repair, RepairShown)
    assert [round(one.share, 3) for one in repair.accuracy] == [0.9, 0.8, 0.85]
    assert repair.fresh[0].severe == (("0.2", 0.5, 0.1),)


@pytest.mark.parametrize(
    "content",
    [
        NOTHING,
        [],
        None,
        7,
        {"results": []},
        {"results": {}},
        {"results": [CAMPAIGN, NOTHING]},
        {"entries": 3, "effective": 3},
        CAMPAIGN | {"seeds": "many"},
        CAMPAIGN | {"seeds": -1},
        CAMPAIGN | {"seeds": 1.5},
        CAMPAIGN | {"seeds": True},
        CAMPAIGN | {"seeds": 10**400},
        CAMPAIGN | {"seeds": 3, "seeds_effective": 4},
        CAMPAIGN | {"severity_max": 7},
        CAMPAIGN | {"severity_max": float("nan")},
        CAMPAIGN | {"natural_disagreement": None},
        CAMPAIGN | {"settings": []},
        CAMPAIGN | {"worst": {"original": {}}},
        CAMPAIGN | {"notes": "one"},
        GATE | {"deviations": [3]},
        GATE | {"exit_code": "0"},
        GATE | {"search": {"rows": "a", "seeds": 3, "seeds_effective": 4}},
        REPAIR | {"clean": None},
        REPAIR | {"fresh": [{}]},
    ],
    ids=lambda content: f"{content!r:.40}",
)
def test_what_is_no_result_is_refused_in_one_line(content: Any, refuses: Any) -> None:
    with refuses("compd fuzz, gate, repair or study", "odd.json"):
        results_of(content, "odd.json")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_bytes_that_are_no_json_are_refused(data: bytes, refuses: Any) -> None:
    with refuses("odd.json"):
        parse_results(data, "odd.json")


def test_a_file_is_read_and_a_missing_one_named(tmp_path: Path, refuses: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GATE))
    (found,) = read_results(path)
    assert found.name == str(path)
    with refuses("b.json", "No such file"):
        read_results(tmp_path / "b.json")


def test_texts_of_strangers_are_printable_and_short() -> None:
    hostile = "\x1b[31m\u202e" + "x" * 10_000
    (found,) = results_of(CAMPAIGN | {"model": hostile, "notes": [hostile, 3]}, "a.json")
    assert isinstance(found, CampaignShown)
    for text in (found.pair, *found.notes):
        assert text.isprintable()
        assert len(text) < 500
