"""SARIF 2.1.0 (OASIS): what code scanning shows, with fingerprints that outlive a run."""

from __future__ import annotations

import json
from typing import Any

from compd._version import __version__
from compd.gating.deviations import Deviation, Status
from compd.gating.outputs.words import detail, metadata_of, plain, title
from compd.gating.result import GateResult
from compd.wording import command

__all__ = ["sarif"]

_MOST = 5000  # results that GitHub shows of a run
_RULES = {
    Status.NEW: ("new-deviation", "error", "The compressed model deviates, and nobody accepted it"),
    Status.UNCONFIRMED: (
        "unconfirmed-deviation",
        "warning",
        "A stored deviation that this machine cannot confirm",
    ),
    Status.FLAKY: ("flaky-deviation", "note", "A deviation that does not show each time"),
}
_HELP = (
    f"{command('corpus show', 'HASH')} shows the picture, {command('replay', 'FILE')} judges it "
    f"again, {command('baseline accept', 'HASH', reason='…')} lets it pass, {command('repair')} "
    "mends the model."
)
_LIMIT = ("limit", "error", "A limit of the gate's policy does not hold")


def sarif(result: GateResult) -> bytes:
    """The result as SARIF: new, unconfirmed and flaky deviations, and limits that do not hold.

    Deviations are located in the corpus's metadata file. At most 5,000 are written, those that
    matter most first; the run's properties say how many there are.
    """
    shown = result.of(*_RULES)
    results = [_limit(name, said, result) for name, said in result.failures.items()]
    results += [_result(one, result) for one in shown[: _MOST - len(results)]]
    rules = [
        {
            "id": f"compd/{name}",
            "name": "".join(map(str.capitalize, name.split("-"))),
            "shortDescription": {"text": f"{text}."},
            "fullDescription": {"text": f"{text}."},
            "help": {"text": _HELP},
            "defaultConfiguration": {"level": level},
        }
        for name, level, text in (*_RULES.values(), _LIMIT)
    ]
    run = {
        "tool": {"driver": {"name": "compd", "version": __version__, "rules": rules}},
        "invocations": [{"executionSuccessful": True, "exitCode": result.exit_code}],
        "columnKind": "utf16CodeUnits",
        "results": results,
        "properties": {
            "pair": plain(result.pair),
            "deviations": {str(status): count for status, count in result.counts.items()},
            "written": len(results),
        },
    }
    content = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return (json.dumps(content, indent=1) + "\n").encode()


def _result(one: Deviation, result: GateResult) -> dict[str, Any]:
    name, level, _ = _RULES[one.status]
    if one.status is Status.NEW and not result.too_many:
        level = "note"  # the policy lets it pass
    file, line = metadata_of(one, result)
    return {
        "ruleId": f"compd/{name}",
        "level": level,
        "message": {"text": plain(f"{title(one)}. {detail(one)}")},
        "locations": [_place(file, line)],
        "partialFingerprints": {"compdPixels/v1": one.record.sha256},
        "properties": {"severity": one.record.severity, "flip": plain(one.record.flip)},
    }


def _limit(name: str, said: str, result: GateResult) -> dict[str, Any]:
    file = f"{result.corpus.rstrip('/')}/metadata.jsonl"
    return {
        "ruleId": f"compd/{_LIMIT[0]}",
        "level": _LIMIT[1],
        "message": {"text": plain(f"{name}: {said}")},
        "locations": [_place(file, 1)],
        "partialFingerprints": {"compdLimit/v1": name},
    }


def _place(file: str, line: int) -> dict[str, Any]:
    from urllib.parse import quote

    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(file.replace("\\", "/"))},
            "region": {"startLine": line},
        }
    }
