"""What a callable is made of: the same hash in each process, another for another model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from compd.pair.identity import content_hash

SCALE = np.ones(3)
LAYER = nn.Linear(2, 2)


def closing_over(value: object) -> Callable[[Any], Any]:
    def call(x: Any) -> Any:
        return x, value

    return call


def with_inner(name: str) -> Callable[[Any], Any]:
    if name == "a":
        return lambda x: [one.sum() for one in x]
    return lambda x: [one.mean() for one in x]


def scaled(x: Any, by: int = 1) -> Any:
    return x * SCALE * by


class Device:
    """Something that is called."""

    def __init__(self, weights: object) -> None:
        self.weights = weights

    def __call__(self, x: Any) -> Any:
        return self.helper(x)

    def helper(self, x: Any) -> Any:
        return x @ self.weights


class Other(Device):
    def helper(self, x: Any) -> Any:
        return x @ self.weights + 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (closing_over(1), closing_over(2)),
        (closing_over(1), closing_over(True)),
        (closing_over([1, 2]), closing_over([2, 1])),
        (closing_over(np.zeros(3)), closing_over(np.zeros((3, 1)))),
        (closing_over(torch.zeros(2)), closing_over(torch.zeros(2, dtype=torch.int32))),
        (closing_over({"a": 1}), closing_over({"a": 2})),
        (closing_over({1, 2}), closing_over({1, 3})),
        (with_inner("a"), with_inner("b")),
        (partial(scaled, by=2), partial(scaled, by=3)),
        (Device(np.zeros(2)), Device(np.ones(2))),
        (Device(0), Other(0)),
        (Device(0).helper, Device(1).helper),
        (closing_over(Device(0)), closing_over(Device(1))),
        (lambda x: "fp32", lambda x: "int8"),
        (lambda x: x in {"a", "b"}, lambda x: x in {"a", "c"}),
    ],
)
def test_another_model_is_another_hash(one: Any, other: Any) -> None:
    assert content_hash(one) == content_hash(one)
    assert content_hash(one) != content_hash(other)


def test_globals_that_the_code_names_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = content_hash(scaled)
    monkeypatch.setitem(globals(), "SCALE", np.full(3, 2.0))
    assert content_hash(scaled) != before


def test_modules_count_by_their_numbers() -> None:
    before = content_hash(closing_over(LAYER))
    with torch.no_grad():
        LAYER.weight += 1
    assert content_hash(closing_over(LAYER)) != before


def test_what_holds_itself_has_an_end() -> None:
    device = Device(None)
    device.weights = [device, {"again": device}]
    assert len(content_hash(device)) == 64


CALLS = """
import sys
sys.path.insert(0, {folder!r})
from test_identity import Device, closing_over, partial, scaled, content_hash
print(content_hash([
    Device({{"a": [1, 2], "b": {{"x", "y", ("z", 1)}}}}), partial(scaled, by=3),
    closing_over(frozenset("abcdef")), lambda x: x in {{"a", "b", "c"}}, open,
]))
"""


def test_the_hash_is_the_same_in_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    script = CALLS.format(folder=str(Path(__file__).parent))
    with redirect_stdout(StringIO()) as here:
        exec(script, {"__name__": "__main__"})
    there = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"},
    )
    assert here.getvalue() == there.stdout != ""
