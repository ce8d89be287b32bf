"""Results of ``fuzz``, ``gate`` and ``repair`` that a page is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from compd.report.page.environment import environment_of
from compd.report.page.headline import headline_of
from compd.report.page.history import history_of
from compd.report.page.panels import panel_of, panel_of_gate
from compd.report.page.results import parse_results
from compd.report.page.shown import CampaignShown, GateShown, RepairShown
from compd.report.page.suffering import suffering_of
from compd.report.page.tables import gate_tables, repair_tables
from compd.text import printable
from targets.contract import Broken, only_compd_errors
from targets.json_shapes import WORDS, mutate_json

__all__ = ["WORDS", "entry", "mutate", "seeds"]

_SHARE = {"count": 3, "of": 40, "low": 0.01, "high": 0.2}


def _of_class(seeds: int, found: int, becomes: dict[str, int]) -> dict[str, Any]:
    counts = {"seeds": seeds, "effective": found, "sure": found - 2, "very_sure": 1}
    return {**counts, "severity_max": 0.9, "becomes": becomes}


def _campaign(**changes: Any) -> dict[str, Any]:
    answer = {"name": "7", "confidence": 0.99, "margin": 0.98}
    return {
        "model": "lenet5",
        "data": "digits",
        "compress": "prune",
        "engine": "fp32",
        "strategy": "boundary",
        "original_accuracy": 0.95,
        "deployed_accuracy": None,
        "natural_disagreement": 0.025,
        "clean_images": 160,
        "seeds": 64,
        "seeds_effective": 54,
        "by_class": {
            "7": _of_class(40, 36, {"1": 20, "9": 16}),
            "cat": _of_class(24, 18, {"7": 18}),
        },
        "severity_median": 0.6,
        "severity_max": 0.9,
        "seconds": 1.5,
        "stopped": "done",
        "notes": ["a note"],
        "trust": {"stable": 54},
        "corpus": "compd-corpus/x",
        "settings": {"compress": {"kind": "prune"}, "eps": 16, "norm": "linf", "goal": "first"},
        "rows": {"test": "all[0:160]"},
        "fingerprint": {"torch": "2.13.0"},
        "worst": {"original": answer, "deployed": answer},
        **changes,
    }


def _gate() -> dict[str, Any]:
    return {
        "verdict": "new deviations",
        "exit_code": 1,
        "corpus": "c",
        "baseline": "c/baseline.txt",
        "pair": "p",
        "counts": {"new": 1, "accepted": 0},
        "deviations": [{"sha256": "ab", "status": "new", "why": "why", "severity": 0.4}],
        "failures": {"max-accuracy-drop": "lost"},
        "clean": {
            "rows": "test[0:9]",
            "images": 9,
            "disagree": 1,
            "disagree_bound": 0.4,
            "original_accuracy": 0.9,
            "deployed_accuracy": 0.8,
        },
        "search": {"rows": "test[0:9]", "seeds": 9, "seeds_effective": 3},
        "compared": {
            "mean_before": 0.2,
            "mean_now": 0.5,
            "worse": [{"seed_row": "test[1]", "flip": "1 → 7", "before": 0.1, "now": 0.9}],
        },
        "notes": [],
        "seconds": 2.0,
        "fingerprint": {"torch": "2.13.0"},
    }


def _repair() -> dict[str, Any]:
    return {
        "accuracy_before": 0.8,
        "pair": "repaired",
        "fixed": 3,
        "new": 1,
        "corpus_effective_before": 9,
        "corpus_effective_after": 2,
        "heldout_effective_before": 9,
        "heldout_effective_after": 2,
        "rounds": 3,
        "best_round": 2,
        "seconds": 4.0,
        "clean": {
            "images": 40,
            "accuracy_original": 0.9,
            "accuracy_before": 0.8,
            "accuracy_after": 0.85,
            "natural_before": _SHARE,
            "natural_after": _SHARE,
            "p_value": 0.5,
            "accuracy_by_class": {"cat": [0.9, 0.8, 0.85]},
        },
        "fresh": [
            {
                "search": "boundary, severe",
                "effective_before": _SHARE,
                "effective_after": _SHARE,
                "severity_shares_before": {"0.2": 0.5},
                "severity_shares_after": {"0.2": 0.1},
            }
        ],
        "robust": [{"attack": "FGSM 2/255", "original": 0.9, "before": 0.8, "after": 0.8}],
        "notes": [],
        "fingerprint": {"torch": "2.13.0"},
    }


def seeds() -> Iterator[bytes]:
    """One of each kind, and a search of two compressions."""
    given = {"kind": "given", "original": "a.onnx", "deployed": "b.onnx"}
    files = {"compress": given, "eps": None, "norm": "l2"}
    for content in (
        _campaign(),
        _campaign(settings=files, worst=None, severity_max=None, seeds_effective=0),
        _gate(),
        _repair(),
        {"results": [_campaign(), _campaign(compress="ptq")]},
        {},
    ):
        yield json.dumps(content).encode()


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """JSON that stays JSON."""
    return mutate_json(data, most, seed)


def entry(data: bytes) -> None:
    """Read a result, and say all that a page says of it."""
    with only_compd_errors():
        found = parse_results(data, "result.json")
        headline = headline_of((), found)
        said = [*headline.sentences, *headline.below]
        environment = environment_of(found, ())
        said += [*environment.columns, *environment.notes]
        for row in environment.rows:
            said += [row.key, *(text for cell in row.cells for text in cell)]
        for one in history_of(found):
            said += [one.name, one.kind, one.found, one.severity, one.accuracy]
        for result in found:
            said += _first_words(result)
            if isinstance(result, GateShown | RepairShown):
                gate = isinstance(result, GateShown)
                tables = gate_tables(result) if gate else repair_tables(result)  # type: ignore
                said += [text for one in tables for row in one.rows for text in row]
        for text in said:
            if printable(text) != text:
                raise Broken(f"expected printable text on a page, got {text!r:.80}")


def _first_words(result: CampaignShown | GateShown | RepairShown) -> list[str]:
    """What stands above all else: of a search and a gate."""
    said = []
    panel = None
    if isinstance(result, CampaignShown):
        panel = panel_of("c1", result, ())
        classes = suffering_of(result, ())
        said += [classes.left, classes.worst, classes.targets, result.chosen]
        said += [text for row in classes.rows for text in (row.name, row.to)]
    elif isinstance(result, GateShown):
        panel = panel_of_gate(result)
    if panel is not None:
        said += [panel.name, panel.full, *(line.said for line in panel.lines)]
        said += [] if panel.judgement is None else [panel.judgement.text]
    return said
