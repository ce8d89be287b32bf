"""Gate results without models, and records that describe random pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from compd.corpus import Record
from compd.gating import Deviation, GateResult, Policy, Status
from compd.images import pixel_hash
from compd.search import Answer, Verdict

MakeResult = Callable[..., GateResult]
MakeRecord = Callable[..., Record]


def _answer(label: int, name: str) -> Answer:
    return Answer(label, name, 0.7, 0.4, ((name, 0.7), ("other", 0.3)))


def _record(number: int, **changes: Any) -> Record:
    image = torch.full((3, 4, 4), number % 256, dtype=torch.uint8)
    image[0, 0, 0], image[0, 0, 1] = number // 256 % 256, number // 65536
    content: dict[str, Any] = {
        "sha256": pixel_hash(image),
        "seed_sha256": "ab" * 32,
        "seed_data": "random",
        "seed_row": f"test[{number}]",
        "seed_label": 0,
        "true_label": 0,
        "verdict": Verdict.EFFECTIVE,
        "original": _answer(0, "cat"),
        "deployed": _answer(1, "dog"),
        "severity": 0.4,
        "linf": 8,
        "l2": 0.01,
        "psnr": 40.0,
        "strategy": {"name": "boundary"},
        "eps": 8,
        "norm": "linf",
        "step": 1,
        "random_seed": 0,
        "fingerprint": {"torch": "2.13.0", "engine": "x86", "cpu_flags": "avx2"},
    }
    return Record(**content | changes)


_plain = cache(_record)  # the same ones in all results of thousands


@pytest.fixture
def make_record() -> MakeRecord:
    """``make_record(number, **fields)``."""
    return _record


@pytest.fixture
def make_result() -> MakeResult:
    """``make_result(count, status, **fields)``: a result with so many deviations of a status."""

    def make(count: int, status: Status = Status.NEW, **fields: Any) -> GateResult:
        deviations = tuple(
            Deviation(_plain(i), status, "not in the baseline", "corpus", i + 1)
            for i in range(count)
        )
        result = GateResult(
            corpus="corpora/x",
            baseline="corpora/x/baseline.txt",
            pair="tiny",
            policy=Policy(),
            policy_from="defaults",
            options="--pair p",
            interrupted=False,
            entries=count,
            other_original=0,
            deviations=deviations,
            unknown=(),
            failures={},
            clean=None,
            searched=None,
            found=None,
            seconds=1.5,
            replay_seconds=1.0,
            model_seconds=1.0,
            fingerprint={},
        )
        return replace(result, **fields)

    return make
