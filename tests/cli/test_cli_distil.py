"""A distilled student at the command line: made, searched, remembered, refused where it must be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.cli.options.pair import PairOptions
from compd.compress import Distilled
from compd.text import names_in

Run = Callable[..., Any]
Refuses = Callable[..., Any]

T = ("--threads", 1)
FACTORY = "somebodys_student:make"
SOURCE = """
from compd.models import build_zoo_model


def make():
    return build_zoo_model("lenet1", classes=10, width=2)
"""


def config_of(**said: Any) -> Any:
    [request] = PairOptions(model="lenet5", **said).requests().values()
    return getattr(request, "compress", None)


def test_a_student_is_named_by_options_or_in_the_text() -> None:
    said = {"student": "lenet1", "student_width": 2, "fine_tune_epochs": 3}
    expected = Distilled(student="lenet1", width=2, epochs=3)
    assert config_of(compress="distil", **said) == expected
    assert config_of(compress="distil:student=lenet1,width=2,epochs=3") == expected
    assert config_of(compress="distil:student=a.b:c") == Distilled(student="a.b:c")
    assert config_of(compress="distil:epochs=3,student=a.b:c,temperature=2") == Distilled(
        student="a.b:c", epochs=3, temperature=2
    )


def test_a_student_in_a_list_is_a_setting_and_not_another_compression() -> None:
    text = "distil:width=2,student=a.b:c,prune:amount=0.5,ptq"
    with_code = ["distil:width=2,student=a.b:c", "prune:amount=0.5", "ptq"]
    assert names_in(text) == with_code


@pytest.mark.parametrize("option", [{"student": "lenet1"}, {"student_width": 2}])
def test_options_of_a_student_need_one(option: dict[str, Any], refuses: Refuses) -> None:
    for compress in (None, "prune"):
        with refuses("--student", "with --compress distil"):
            PairOptions(model="lenet5", compress=compress, **option).requests()


@pytest.mark.slow
def test_a_corpus_of_a_factorys_student_knows_it_anywhere(
    run: Run, cached: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys_student.py").write_text(SOURCE)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    named = ("--model", "lenet5", "--epochs", 2, "--compress", "distil", "--student", FACTORY)
    how = ("--fine-tune-epochs", 2, "--seeds", 20, "--eps", 32, "--json", "result.json", *T)
    done = run("fuzz", *named, *how, "--corpus", "found")
    assert done.code == 0, done.err
    assert "distilled: " in done.out
    found = json.loads(Path("result.json").read_text())
    assert found["settings"]["compress"]["student"] == FACTORY
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = run("corpus", "verify", "--corpus", tmp_path / "found", *T)
    assert again.code == 0, again.err
    assert "changed          0" in again.out
    monkeypatch.chdir(tmp_path)
    made = run("compress", *named, "--fine-tune-epochs", 2, "--out", "pair", *T)
    assert made.code == 0, made.err
    assert "next: compd fuzz --pair pair --trust" in made.out
    refused = run("corpus", "verify", "--corpus", "found", "--pair", "pair")
    assert refused.code == 2
    assert f"its model '{FACTORY}' is code" in refused.err
    gated = run("gate", "--corpus", "found", "--pair", "pair", "--trust", "--only-replay", *T)
    assert gated.code == 1  # nothing is accepted yet
    assert "new deviations" in gated.out
