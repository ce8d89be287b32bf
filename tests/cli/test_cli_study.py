"""``compd study`` through the real command, on a small pair."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_files import onnx_files, photos

from compd.studies import StudyReport

Run = Callable[..., Any]
FEW = ["--kinds", "contrast:5,gaussian_noise:3", "--images", "40", "--threads", "1"]
ALL = "shifts,uncertainty,calibration,guard:alpha=0.2"


@pytest.fixture
def pair(cached: Any) -> list[str]:
    """Options that name the pair of the world."""
    return ["--pair", str(cached.pair)]


def test_a_study_says_what_it_found_and_keeps_it(run: Run, pair, cached, tmp_path: Path) -> None:
    out, file, page = tmp_path / "out", tmp_path / "a.json", tmp_path / "page.html"
    places = ["--out", str(out), "--json", str(file), "--report", str(page), "--plots", "none"]
    done = run("study", ALL, *pair, *FEW, *places, "--corpus", str(cached.corpus))
    assert done.code == 0, done.err
    content = json.loads(file.read_text())
    report = StudyReport.from_json(content)
    assert report.sets == ("clean", "contrast:5", "gaussian_noise:3")
    assert (report.images, set(report.results)) == (
        40,
        {n.partition(":")[0] for n in ALL.split(",")},
    )
    shifts = content["shifts"]
    worst = shifts["sets"][0]
    assert worst["name"] in done.out
    assert f"{100 * worst['disagreement']['count'] / 40:.2f} %" in done.out
    assert "stored deviations pass" in done.out
    assert f"next: compd fuzz {' '.join(pair)} --strategy shift" in done.out
    assert json.loads(done.out.split("device: ")[1].splitlines()[0]) == json.loads(
        content["guard"]["device"]
    )
    text = page.read_text("utf-8")
    assert text.count('class="study"') == text.count('class="corpus"') == 1
    assert [one.name for one in out.iterdir()] == ["answers"]


def test_a_study_is_resumed_and_says_the_same(
    run: Run, pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, again = tmp_path / "a.json", tmp_path / "b.json"
    options = [*pair, *FEW, "--out", str(tmp_path / "out"), "--plots", "none"]
    assert run("study", "shifts", *options, "--json", str(file)).code == 0
    answers = sorted((tmp_path / "out" / "answers").iterdir())
    assert len(answers) == 6  # two models, three sets
    monkeypatch.setattr("compd.studies.bench.predict", None)  # nothing is asked again
    done = run("study", "shifts", *options, "--json", str(again))
    assert done.code == 0, done.err
    assert again.read_bytes() == file.read_bytes()
    answers[0].write_bytes(b"")
    assert run("study", "shifts", *options).code != 0


def test_plots_lie_in_the_folder(run: Run, pair, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (compd[plots])")
    out = tmp_path / "out"
    done = run("study", "shifts", *pair, *FEW, "--out", str(out), "--plots", "svg")
    assert done.code == 0, done.err
    assert f"plots: shifts.svg in {out}" in done.out
    assert (out / "shifts.svg").read_bytes().startswith(b"<?xml")


def test_without_matplotlib_the_answers_are_kept(
    run: Run, pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out = tmp_path / "out"
    done = run("study", "shifts", *pair, *FEW, "--out", str(out))
    assert done.code == 0, done.err
    assert [one for one in done.out.splitlines() if "compd[plots]" in one] == [
        "no plots: this needs the package 'matplotlib', which is not installed: "
        "pip install 'compd[plots]'"
    ]
    assert len(list((out / "answers").iterdir())) == 6


def test_a_page_is_made_of_the_json_later(run: Run, pair, cached, tmp_path: Path) -> None:
    file, page = tmp_path / "a.json", tmp_path / "page.html"
    assert run("study", "shifts", *pair, *FEW, "--json", str(file)).code == 0
    done = run("report", "--json", str(file), "--out", str(page))
    assert done.code == 0, done.err
    assert "other answers on" in page.read_text("utf-8")
    both = ["--json", str(cached.json), "--json", str(file), "--corpus", str(cached.corpus)]
    assert run("report", *both, "--out", str(page)).code == 0
    text = page.read_text("utf-8")
    assert text.count('class="study"') == text.count('class="corpus"') == 1
    broken = json.loads(file.read_text()) | {"shifts": {}}
    file.write_text(json.dumps(broken))
    done = run("report", "--json", str(file), "--out", str(page))
    assert done.code == 2
    assert done.err.count("\n") == 1


WRONG = {
    "alphabet": ["expected study to be one of bits"],
    "shifts --kinds smog": ["shift='smog'"],
    "shifts --kinds fog --severities 9": ["severity=9.0"],
    "shifts --images 0": ["--images", "images='0'"],
    "shifts --images few": ["images='few'"],
    "guard --alpha 2": ["alpha=2.0"],
    "shifts --alpha 0.1": ["--alpha with the study guard"],
    "guard --choose-on fog:3": ["contrast:5", "choose_on='fog:3'"],
    "shifts --natural FOLDER": ["classes of the pair (0, 1", "'cat' in natural="],
    "shifts --shift-data FOLDER": ["labels.npy"],
    "shifts --frost nowhere": ["frost"],
    "shifts --corpus FOLDER": ["metadata.jsonl"],
    "shifts --plots pdf --out OUT": ["plots='pdf'"],
    "shifts --plots svg": ["--plots with --out DIR"],
    "shifts --report nowhere/page.html": ["report='nowhere/page.html'"],
    "shifts --out -": ["standard output"],
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_inputs_are_one_line(
    run: Run, pair, make_folder, tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_folder(tmp_path / "folder", ["cat", "dog"], each=3)
    places = {"FOLDER": str(folder), "OUT": str(tmp_path / "out")}
    study, *more = [places.get(word, word) for word in words.split()]
    done = run("study", study, *pair, *FEW, *more)
    assert done.code == 2, done.out
    assert done.err.splitlines()[-1].startswith("compd: ")
    assert done.err.count("compd: ") == 1
    for expected in WRONG[words]:
        assert expected in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flat", [False, True], ids=["labelled", "unlabelled"])
def test_two_files_and_a_folder(run: Run, tmp_path: Path, flat: bool) -> None:
    original, deployed = onnx_files()
    files = [
        "--original",
        str(original),
        "--deployed",
        str(deployed),
        "--data",
        str(photos(flat=flat)),
    ]
    file = tmp_path / "a.json"
    done = run("study", f"{ALL},bits:fewest=8", *files, *FEW, "--json", str(file))
    assert done.code == 0, done.err
    content = json.loads(file.read_text())
    clean = content["shifts"]["clean"]
    assert clean["disagreement"]["of"] == clean["images"] > 10
    assert (clean["accuracy_original"] is None) is flat
    assert ("calibration" in content["skipped"]) is flat
    assert "bits" in {*content["skipped"], *content}
