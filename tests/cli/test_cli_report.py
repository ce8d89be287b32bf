"""``compd report``, and ``--report`` of other commands."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch

from compd.cli import _run
from compd.cli.pages import address_of
from compd.corpus import Corpus


@pytest.fixture(scope="module")
def found(world, tmp_path_factory: pytest.TempPathFactory):
    """A pair of few bits, and a campaign that finds something."""
    home = tmp_path_factory.mktemp("found")
    pair, corpus, json_ = home / "pair", home / "corpus", home / "report.json"
    model = ["--model", "lenet5", "--epochs", "2", "--compress", "ptq", "--weight-bits", "4"]
    places = ["--corpus", str(corpus), "--json", str(json_)]
    any_change = ["--eps", "none", "--goal", "first"]
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPD_CACHE", str(world.cache))
        codes = (
            _run(["compress", *model, "--out", str(pair), "--threads", "1"]),
            _run(["fuzz", *model, *places, *any_change, "--threads", "1", "--seeds", "12"]),
        )
    torch.set_num_threads(threads)
    assert codes == (0, 0)
    return replace(world, pair=pair, corpus=corpus, json=json_)


def cards(page: Path) -> int:
    return page.read_text("utf-8").count('<li class="card"')


def verdict(page: Path) -> str:
    match = re.search(r"<h1>(.*?)</h1>", page.read_text("utf-8"))
    assert match is not None
    return match[1]


def test_a_page_of_a_campaign_says_what_it_found(found, run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = run("report", "--corpus", found.corpus, "--json", found.json, "--out", page)
    assert (done.code, done.err) == (0, "")
    result = json.loads(found.json.read_text())
    deviations = [one for one in Corpus(found.corpus) if str(one.verdict) == "effective"]
    assert verdict(page).startswith("int8 with weights of 4 bits: no sure flip was found")
    found_ = f"{result['seeds_effective']} of {result['seeds']} images flip"
    assert found_ in page.read_text()
    counts = list(result["by_class"].values())
    for total, part in (("seeds", "seeds"), ("seeds_effective", "effective")):
        assert sum(one[part] for one in counts) == result[total]
    assert sum(sum(one["becomes"].values()) for one in counts) == result["seeds_effective"]
    assert max(one["severity_max"] or 0 for one in counts) == result["severity_max"]
    assert cards(page) == len(deviations) == result["images_effective"]
    assert result["worst"]["severity"] == result["severity_max"]
    assert done.out == f"page: {page} ({len(deviations)} deviations)\n"
    assert "Each class" in page.read_text()
    assert "negative flips" not in page.read_text()  # of clean images, which need a pair
    assert f"compd replay {found.corpus}/images/" in page.read_text()


def test_with_a_pair_there_is_a_row_for_each_class(found, run, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    pair = ["--pair", found.pair, "--data", "digits", "--threads", "1"]
    done = run("report", "--corpus", found.corpus, *pair, "--out", page)
    assert done.code == 0
    text = page.read_text()
    assert "Each class" in text
    assert "negative flips" in text
    commands = set(re.findall(r"compd replay [^<]+", text))
    assert sum(f"--pair {found.pair}" in one for one in commands) == cards(page)


def test_earlier_results_make_a_history(found, run, tmp_path: Path) -> None:
    earlier, page = tmp_path / "earlier.json", tmp_path / "report.html"
    content = json.loads(found.json.read_text())
    content["fingerprint"]["torch"] = "1.0.0"
    earlier.write_text(json.dumps(content))
    both = ["--json", earlier, "--json", found.json]
    assert run("report", "--corpus", found.corpus, *both, "--out", page).code == 0
    text = page.read_text()
    assert "<h2>History</h2>" in text
    assert text.index("earlier.json") < text.index("report.json")
    assert "1.0.0" in text


def test_a_gate_writes_its_page_and_others_link_to_it(found, run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPD_CACHE", str(found.cache))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for name in ("GITHUB_ACTIONS", "CI_JOB_URL"):
        monkeypatch.delenv(name, raising=False)
    files = ["--junit", "gate.xml", "--summary", "gate.md", "--report", "gate.html"]
    done = run(
        *("gate", "--corpus", found.corpus, "--pair", found.pair, "--data", "digits"),
        *("--threads", "1", "--seeds", "8", "--out", "new", "--max-accuracy-drop", "0.5", *files),
    )
    assert done.code == 1
    page = tmp_path / "gate.html"
    assert verdict(page).startswith("Gate failed: ")
    assert "Each class" in page.read_text()  # where the policy had clean rows measured
    assert '<span class="status new"' in page.read_text()
    suite = ET.parse("gate.xml").getroot()[0]
    (link,) = suite.findall("properties/property")
    assert (link.get("name"), link.get("value")) == ("report", "gate.html")
    assert "page: gate.html" in str(suite.findtext("testcase/failure"))
    assert "[The page with all of it](gate.html)" in Path("gate.md").read_text()


@pytest.mark.slow
def test_a_repair_writes_its_page(found, run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("COMPD_CACHE", str(found.cache))
    page = tmp_path / "repair.html"
    done = run(
        *("repair", "--corpus", found.corpus, "--pair", found.pair, "--data", "digits"),
        *("--out", tmp_path / "repaired", "--rounds", "1", "--steps", "3", "--seeds", "8"),
        *("--threads", "1", "--report", page),
    )
    assert done.code == 0
    assert re.match(r"Repair", verdict(page))
    assert "Fresh searches from held-out seeds" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--corpus", "missing"], "corpus='missing'"),
        (["--corpus", "missing", "--static", "--out", "-"], "out='-'"),
        (["--corpus", "CORPUS", "--json", "odd.json"], "odd.json"),
        (["--corpus", "CORPUS", "--json", "missing.json"], "missing.json"),
        (["--corpus", "CORPUS", "--out", "."], "got a folder: out='.'"),
        (["--corpus", "CORPUS", "--out", "missing/x.html"], "make the folder first"),
        ([], "expected --corpus DIR"),
    ],
)
def test_bad_input_is_one_line(found, run, tmp_path, monkeypatch, arguments, said) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.json").write_text('{"entries": 3}')
    done = run("report", *(found.corpus if one == "CORPUS" else one for one in arguments))
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert said in done.err


def test_a_page_goes_to_standard_output_and_words_beside_it(found, run) -> None:
    done = run("report", "--corpus", found.corpus, "--out", "-")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("page: - (")


def test_all_and_static_are_as_they_are_called(found, run, tmp_path: Path) -> None:
    shutil.copytree(found.corpus, tmp_path / "corpus")
    page = tmp_path / "report.html"
    assert (
        run("report", "--corpus", tmp_path / "corpus", "--all", "--static", "--out", page).code == 0
    )
    assert (tmp_path / "report.html_files" / "page.css").is_file()
    assert len(list((tmp_path / "report.html_files").glob("*.png"))) == cards(page)


def test_the_address_of_a_page_is_that_of_the_ci_systems_artifacts() -> None:
    page = Path("out/gate page.html")
    assert address_of(page, {}) == "out/gate%20page.html"
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "me/mine",
        "GITHUB_RUN_ID": "7",
    }
    assert address_of(page, github) == "https://github.com/me/mine/actions/runs/7#artifacts"
    gitlab = {"CI_JOB_URL": "https://gitlab.com/me/mine/-/jobs/7"}
    assert address_of(page, gitlab) == (
        "https://gitlab.com/me/mine/-/jobs/7/artifacts/file/out/gate%20page.html"
    )
    assert address_of(Path("/tmp/x.html"), gitlab) == "/tmp/x.html"
