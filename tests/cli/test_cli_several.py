"""``compd fuzz`` on the int8 and the pruned model, and what it says of both."""

from __future__ import annotations

import html
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.cli.options.common import levels
from compd.cli.options.pair import PairOptions
from compd.corpus import Corpus
from compd.errors import SettingError
from compd.text import names_in

Run = Callable[..., Any]
LENET = ["--model", "lenet5", "--epochs", "2", "--fine-tune-epochs", "1", "--threads", "1"]
SHORT = ["--seeds", "6", "--steps", "3"]


def test_int8_and_pruned_a_row_and_a_corpus_each(run: Run, cached: Any, tmp_path: Path) -> None:
    corpus, file = tmp_path / "found", tmp_path / "result.json"
    page = tmp_path / "page.html"
    ran = run("fuzz", *LENET, *SHORT, "--corpus", corpus, "--json", file, "--report", page)
    assert ran.code == 0, ran.err
    text = page.read_text()
    assert "Content-Security-Policy" in text
    results = json.loads(file.read_text())["results"]
    assert [one["compress"] for one in results] == ["qat", "prune"]
    for one, kind, made in zip(results, ("qat", "prune"), ("int8", "pruned"), strict=True):
        store = Corpus(corpus / kind)
        assert (one["corpus"], one["stored"]) == (str(corpus / kind), len(store))
        assert (one["settings"]["eps"], one["settings"]["goal"]) == (16, "severe")
        assert {record.eps for record in store} <= {16}
        worst = max(store, key=lambda record: record.severity, default=None)
        assert (worst is None) == (one["worst"] is None)
        if worst is not None:
            assert one["worst"]["severity"] == worst.severity
            assert one["worst"]["original"]["name"] == worst.original.name
        assert f"{made}: {one['seeds_effective'] or 'none'} of 6 images flip" in ran.out
        assert f"{made} ({kind})" in ran.out
        assert f"{one['seeds_effective'] or 'none'} of 6 images flip" in text
        assert all(record.sha256[:12] in text for record in store)
        # the page's commands replay on the pair that they are of
        said = re.search(rf"compd (replay {re.escape(str(corpus / kind))}/[^<]+)", text)
        assert said is not None or not len(store)
        if said is not None:
            again = run(*shlex.split(html.unescape(said[1])), "--threads", "1")
            assert (again.code, again.err) == (1, "")
    # of the one that is worse
    assert "next: compd corpus show --corpus " in ran.out


def test_one_compression_is_as_ever(run: Run, cached: Any, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    given = ["--compress", "prune", "--corpus", tmp_path / "one", "--json", file]
    ran = run("fuzz", *LENET, *SHORT, *given)
    assert ran.code == 0, ran.err
    assert json.loads(file.read_text())["compress"] == "prune"
    assert "seeds with an effective deviation" in ran.out
    both = run("fuzz", *LENET, *SHORT, "--corpus", tmp_path / "one")
    assert both.code == 2
    assert "--compress qat), or another folder" in both.err


def test_two_settings_of_one_compression_have_a_corpus_each(
    run: Run, cached: Any, tmp_path: Path
) -> None:
    kinds = "ptq:weight_bits=4,ptq:weight_bits=6"
    model = ["--model", "lenet5", "--epochs", "2", "--threads", "1"]
    ran = run("fuzz", *model, *SHORT, "--compress", kinds, "--corpus", tmp_path / "found")
    assert ran.code == 0, ran.err
    folders = sorted(path.name for path in (tmp_path / "found").iterdir())
    assert folders == ["ptq-weight_bits=4", "ptq-weight_bits=6"]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, ["qat", "prune"]),
        ({"fine_tune_epochs": 1}, ["qat", "prune"]),
        ({"amount": 0.5}, ["prune"]),
        ({"weight_bits": 7}, ["qat"]),
        ({"engine": "onednn"}, ["qat"]),
        ({"compress": "ptq"}, ["ptq"]),
        ({"compress": "prune,ptq:weight_bits=6"}, ["prune", "ptq:weight_bits=6"]),
        ({"pair": Path("pairs/mine")}, [""]),
        ({"original": Path("a.onnx"), "deployed": Path("b.onnx"), "data": "photos"}, [""]),
    ],
)
def test_which_pairs_are_tested(given: dict[str, Any], kinds: list[str]) -> None:
    assert list(PairOptions(**given).requests()) == kinds


@pytest.mark.parametrize("given", [{"amount": 0.5, "weight_bits": 7}, {"compress": "ptq,ptq"}])
def test_settings_of_no_pair_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        PairOptions(**given).requests()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8", 8),
        ("8/255", 8),
        ("4/255", 4),
        ("0.016", 4),
        ("0.0156", 4),
        ("0.0313", 8),
        ("0.03", 7),
        ("1.0", 255),
        ("1", 1),
        ("none", None),
        (None, None),
    ],
)
def test_bounds(text: str | None, found: int | None) -> None:
    assert levels(text, unbounded=None) == found


@pytest.mark.parametrize("text", ["many", "8/256", "8/0", "1.5", "0.001", "nan", "-0.1", "8.0", ""])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="levels"):
        levels(text)


def test_names_with_settings_between_commas() -> None:
    assert names_in("boundary:steps=8,stride=0.5,diva") == ["boundary:steps=8,stride=0.5", "diva"]
