"""What CI systems read: valid for their own readers, and within their limits."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
import torch
from junitparser import JUnitXml
from sarif_pydantic import Sarif

from compd.gating import Deviation, GateResult, Policy, Status
from compd.gating.outputs import junit, sarif, summary, workflow_commands

MANY = 5000


def noise(one: Deviation) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures that compress worst."""
    draw = torch.Generator().manual_seed(int(one.record.sha256[:8], 16))
    both = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=draw)
    return both[0], both[1]


def of_each(make_result, make_record) -> GateResult:
    deviations = [
        Deviation(make_record(i, severity=0.1 * i), status, f"why {i}", "corpus", i + 1)
        for i, status in enumerate(Status)
    ]
    return make_result(
        0,
        deviations=tuple(deviations),
        policy=Policy(max_accuracy_drop=0.01),
        failures={"max-accuracy-drop": "accuracy 90.00% → 80.00% on 10 images"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, MANY])
def test_junit_has_one_case_a_deviation_with_a_stable_name(make_result, count: int) -> None:
    result = make_result(count)
    found = JUnitXml.fromstring(junit(result))
    (suite,) = found
    assert (suite.tests, suite.failures, suite.errors) == (count, count, 0)
    names = [(case.classname, case.name) for case in suite]
    assert len(set(names)) == count
    fixed = replace(
        result, deviations=tuple(replace(d, status=Status.FIXED) for d in result.deviations)
    )
    after = JUnitXml.fromstring(junit(fixed))
    assert [(case.classname, case.name) for case in next(iter(after))] == names
    assert next(iter(after)).failures == 0


def test_junit_says_what_blocks_and_what_does_not(make_result, make_record) -> None:
    (suite,) = JUnitXml.fromstring(junit(of_each(make_result, make_record)))
    kinds = {case.name: [type(one).__name__ for one in case.result] for case in suite}
    assert (suite.tests, suite.failures, suite.skipped) == (len(Status) + 1, 2, 5)
    assert kinds["max-accuracy-drop"] == ["Failure"]
    assert sorted(map(str, kinds.values())) == sorted(
        ["['Failure']"] * 2 + ["['Skipped']"] * 5 + ["[]"] * 2
    )


def test_what_the_policy_lets_pass_is_no_failure_anywhere(make_result) -> None:
    result = make_result(3, policy=Policy(max_new=3))
    assert result.exit_code == 0
    (suite,) = JUnitXml.fromstring(junit(result))
    assert (suite.failures, suite.skipped) == (0, 3)
    levels = {one["level"] for one in json.loads(sarif(result))["runs"][0]["results"]}
    assert levels == {"note"}
    assert all(line.startswith("::notice") for line in workflow_commands(result))


def test_what_xml_cannot_hold_is_taken_out(make_result, make_record) -> None:
    record = make_record(1, seed_row="a\x00b\x1b]0;c\ud800".encode(errors="replace").decode())
    one = Deviation(record, Status.NEW, "<&>\"'\x07 ]]>", "corpus", 1)
    data = junit(make_result(0, deviations=(one,)))
    case = ET.fromstring(data).find(".//failure")
    assert case is not None
    assert "<&>\"'" in (case.text or "")


@pytest.mark.parametrize("count", [0, 3, pytest.param(MANY, marks=pytest.mark.slow), MANY + 100])
def test_sarif_is_valid_located_and_capped(make_result, count: int) -> None:
    data = sarif(make_result(count))
    log = Sarif.model_validate_json(data)
    (run,) = log.runs
    results = run.results or []
    assert len(results) == min(count, MANY)
    assert len(data) < 10 << 20  # that GitHub takes
    raw = json.loads(data)["runs"][0]
    assert raw["properties"]["deviations"]["new"] == count
    prints = {one["partialFingerprints"]["compdPixels/v1"] for one in raw["results"]}
    assert len(prints) == len(results)
    rules = {rule["id"] for rule in raw["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in raw["results"]} <= rules
    for number, one in enumerate(raw["results"], start=1):
        place = one["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "corpora/x/metadata.jsonl"
        assert place["region"]["startLine"] == number


def test_sarif_leaves_out_what_needs_nobody(make_result, make_record) -> None:
    content = json.loads(sarif(of_each(make_result, make_record)))
    levels = [one["level"] for one in content["runs"][0]["results"]]
    assert levels == ["error", "error", "warning", "note"]


def test_the_summary_keeps_to_the_limit_and_says_how_many_more(make_result) -> None:
    text = summary(make_result(MANY), noise)
    assert len(text.encode()) < 1 << 20
    assert text.count("data:image/png;base64,") == 20
    assert f"and {MANY - 200} more" in text
    assert f"and {MANY - 20} more pictures" in text
    little = summary(make_result(MANY), noise, room=192 << 10)
    assert len(little.encode()) < 192 << 10
    assert 0 < little.count("data:image/png;base64,") < 20


def test_nothing_in_a_class_name_becomes_markdown_or_html(make_result, make_record) -> None:
    bad = "<script>|`[x](y)` \n# h"
    record = make_record(1, seed_row=bad)
    result = make_result(0, deviations=(Deviation(record, Status.NEW, bad, "corpus", 1),))
    text = summary(result, noise)
    rows = [line for line in text.splitlines() if line.startswith(f"| {record.sha256[:12]}")]
    assert len(rows) == 1
    assert "<script" not in text
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8


def test_there_are_ten_annotations_at_most(make_result) -> None:
    assert workflow_commands(make_result(0)) == []
    assert len(workflow_commands(make_result(10))) == 10
    lines = workflow_commands(make_result(MANY))
    assert len(lines) == 10
    assert lines[0].startswith("::error file=corpora/x/metadata.jsonl,line=1,title=new deviation")
    assert f"and {MANY - 9} more" in lines[-1]


def test_an_annotation_cannot_carry_a_command(make_result, make_record) -> None:
    record = make_record(1, seed_row="x\n::set-env name=A::b%0A,:")
    result = make_result(
        0, deviations=(Deviation(record, Status.NEW, "\r\n::error::", "corpus", 1),)
    )
    (line,) = workflow_commands(result)
    assert "\n" not in line
    assert "\r" not in line
    assert "%0A" not in line
