"""Arguments of the verbs: typed, by keyword, documented, and in step with the settings' classes."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_pair, tiny_splits

import compd
import compd.testing
from compd.corpus import MinimiseSettings
from compd.repairing import RepairSettings
from compd.search import LeastMargin, SearchSettings

ROOT = Path(__file__).parents[2]
VERBS = [name for name in compd.__all__ if inspect.isfunction(getattr(compd, name))]
# in order: name of the call, the class, and what the call has besides
SETTINGS = [
    ("fuzz", SearchSettings, {"pair", "images", "control"}),
    ("minimise", MinimiseSettings, {"source", "target", "pair", "save_every", "control"}),
    ("repair", RepairSettings, {"pair", "corpus", "out", "splits", "save_every", "control"}),
]


def parameters(call: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(call).parameters)


@pytest.mark.parametrize(("name", "settings", "others"), SETTINGS)
def test_a_call_has_the_settings_of_its_class(name: str, settings: Any, others: set[str]) -> None:
    given = parameters(getattr(compd, name))
    assert given.keys() - others == {field.name for field in fields(settings)}
    usual = settings()
    made = settings(**{key: one.default for key, one in given.items() if key not in others})
    assert made == usual  # the same defaults
    kinds = {key: one.annotation for key, one in given.items()}
    for field in fields(settings):
        if field.name not in ("strategy", "method", "searches", "classes"):  # taken in more forms
            assert kinds[field.name] == field.type, field.name


@pytest.mark.parametrize("name", VERBS)
def test_arguments_are_typed_documented_and_given_by_name(name: str) -> None:
    call = getattr(compd, name)
    doc = inspect.getdoc(call) or ""
    for number, (key, one) in enumerate(parameters(call).items()):
        assert one.annotation is not inspect.Parameter.empty, key
        assert "Any" not in re.findall(r"\w+", str(one.annotation)) or name == "register", key
        assert re.search(rf"^    {key}: ", doc, re.MULTILINE), f"{key} is not documented"
        if one.default is not inspect.Parameter.empty and number:
            assert one.kind is one.KEYWORD_ONLY, key
    assert inspect.signature(call).return_annotation is not inspect.Parameter.empty


def test_settings_arrive() -> None:
    how: dict[str, Any] = {
        "strategy": "diva:steps=3",
        "limit": 4,
        "eps": 6,
        "norm": "l2",
        "objective": LeastMargin(0.1),
        "random_seed": 5,
        "keep": "valid",
        "seconds": 9.0,
    }
    campaign = compd.fuzz(tiny_pair(), tiny_splits().seeds, **how)
    assert campaign.settings == SearchSettings(**how)
    severe = compd.fuzz(tiny_pair(), tiny_splits().seeds, goal="severe")
    assert severe.settings == SearchSettings(goal="severe")


def test_a_wrong_name_is_told() -> None:
    with pytest.raises(TypeError, match="epsilon"):
        compd.fuzz(tiny_pair(), tiny_splits().seeds, epsilon=4)  # type: ignore[call-arg]


USER = """
import numpy as np
import torch

import compd
from compd.search import LeastMargin

images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
pair = compd.Pair.from_modules(torch.nn.Flatten(), lambda x: x.float(), example=images)
good = compd.fuzz(pair, images, eps=4, goal="severe", objective=LeastMargin(0.1), limit=3)
more = compd.fuzz(pair, np.zeros((1, 8, 8, 3), np.uint8), strategy="blackbox:queries=9")
names: list[str] = [finding.seed_row for finding in good]
share: float = compd.evaluate(pair, images, labels=[1]).natural_disagreement
corpus = compd.Corpus("somewhere", create=True)
found: int = sum(compd.collect(more, corpus))
compd.minimise(corpus, corpus, pair, trials=3)
compd.repair(pair, corpus, out="folder", rounds=1, method="walk")
compd.export(pair, "onnx-ptq", "model.onnx", reduce_range=True)
"""
WRONG = """
compd.fuz(pair, images)  # error: attr-defined
compd.fuzz(pair, images, epsilon=4)  # error: call-arg
compd.fuzz(pair, images, eps="4")  # error: arg-type
compd.fuzz(images, pair)  # error: arg-type
compd.check(pair, images, labels=[1])  # error: call-arg
compd.repair(pair, corpus, out="folder", round=1)  # error: call-arg
compd.minimise(corpus, corpus, pair, tries=3)  # error: call-arg
compd.verify("somewhere", pair)  # error: arg-type
compd.gate(pair, corpus, policies=None)  # error: call-arg
good.sumary()  # error: attr-defined
"""


@pytest.mark.slow
def test_mypy_tells_users_of_wrong_names_and_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(USER + WRONG)
    # the project's own settings, so that a cache of the project's own check serves here too
    cache = {name: os.environ[name] for name in ("MYPY_CACHE_DIR",) if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "user.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin", **cache},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (USER + WRONG).splitlines()
    told = re.findall(r"^user\.py:(\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE)
    wanted = [
        (i, code)
        for i, line in enumerate(lines, 1)
        for code in re.findall(r"# error: ([\w-]+)", line)
    ]
    assert len(wanted) == 10
    assert {(i, code) for i, code in wanted} <= {(int(i), code) for i, code in told}, done.stdout
    assert {int(i) for i, _ in told} == {i for i, _ in wanted}, done.stdout
