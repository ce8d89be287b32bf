"""``compd corpus minimise`` by its command."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compd.corpus import Corpus, stats
from compd.search import Verdict

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def deviations(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of the pair's with plenty of effective entries."""
    from compd.cli import _run

    folder = tmp_path_factory.mktemp("minimise") / "found"
    search = ["fuzz", "--pair", str(world.pair), "--seeds", "30", "--threads", "1"]
    assert _run([*search, "--eps", "24", "--corpus", str(folder)]) == 0
    assert stats(Corpus(folder)).effective > 5
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def command(run: Run, world: Any) -> Run:
    """``command(...)``: minimise on the world's pair."""

    def start(*arguments: object) -> Any:
        small = [] if "--trials" in arguments else ["--trials", 40]
        return run("corpus", "minimise", "--pair", world.pair, "--threads", 1, *small, *arguments)

    return start


def test_minimise_reports_and_stores(
    command: Run, run: Run, world: Any, deviations: Path, tmp_path: Path
) -> None:
    out, target = tmp_path / "out", tmp_path / "report.json"
    before = tree(deviations)
    ran = command("--corpus", deviations, "--out", out, "--json", target)
    assert ran.code == 0, ran.err
    assert tree(deviations) == before
    effective = stats(Corpus(deviations)).effective
    assert re.search(rf"flips kept +{effective} of {effective}\b", ran.out)
    content = json.loads(target.read_text())
    assert content["stored"] + content["alike"] == effective
    assert content["left_out"] == {}
    assert content["effort"] == {"trials": 40, "eps": None, "random_seed": 0, "keep_severity": 0.5}
    medians = content["minimised"]["pixels"]
    assert medians[1] < medians[0]
    assert f"changed pixels {medians[0]:g} → {medians[1]:g}" in ran.out
    (part,) = content["rows"]
    assert f"digits all[{part['ranges'][0].split(':')[0]}:" in ran.out
    assert f"{part['count']} rows" in ran.out
    assert run("corpus", "verify", "--corpus", out, "--pair", world.pair, "--threads", 1).code == 0
    assert "cut by" in run("corpus", "stats", "--corpus", out).out

    again = command("--corpus", deviations, "--out", out, "--json", target)
    assert again.code == 0
    assert json.loads(target.read_text())["stored"] == 0
    refused = command("--corpus", deviations, "--out", out, "--trials", 41)
    assert refused.code == 2
    assert "trials=40" in refused.err.splitlines()[-1]


def test_minimise_writes_beside_the_corpus_by_default(
    command: Run, deviations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(deviations, "compd-corpus/found")
    ran = command()
    assert ran.code == 0, ran.err
    assert len(Corpus("compd-corpus/found-min")) > 0


@pytest.mark.parametrize("keep", ["kinds", "distinct"])
def test_a_subset_of_what_was_found(
    command: Run, deviations: Path, tmp_path: Path, keep: str
) -> None:
    subset, target = tmp_path / "subset", tmp_path / "report.json"
    for _ in range(2):  # the second time it is there already, and the same
        ran = command("--corpus", deviations, "--subset", subset, "--keep", keep, "--json", target)
        assert ran.code == 0, ran.err
        content = json.loads(target.read_text())["subset"]
        chosen = {record.sha256: record for record in Corpus(subset)}
        assert set(content["entries"]) == set(chosen)
        whole = [r for r in Corpus(deviations) if r.verdict is Verdict.EFFECTIVE]
        assert sum(content["entries"].values()) == len(whole)
        assert {r.flip for r in chosen.values()} == {r.flip for r in whole}
        assert f"{len(chosen)} of {len(whole)} entries" in ran.out
        if keep == "kinds":
            assert len(chosen) == len(content["kinds"])
    assert not list(tmp_path.glob("*-min"))
    other = command("--corpus", deviations, "--out", tmp_path / "out", "--subset", subset)
    assert other.code == 2
    assert "new folder for the subset" in other.err.splitlines()[-1]
    assert len(Corpus(tmp_path / "out")) > 0  # what was minimised before is safe


def test_an_entry_that_is_left_out_is_named(command: Run, deviations: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(deviations, tmp_path / "found"))
    sha256 = next(iter(Corpus(folder))).sha256
    (folder / f"images/{sha256[:2]}/{sha256}.png").unlink()
    ran = command("--corpus", folder, "--out", tmp_path / "out", "--trials", 5)
    assert ran.code == 1
    assert sha256[:12] in ran.out
    assert "the corpus still has them" in ran.out
    assert sha256 in Corpus(folder)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--trials", "0"], "trials=0"),
        (["--eps", "0"], "eps=0"),
        (["--random-seed", "-1"], "random_seed"),
        (["--keep-severity", "1.5"], "keep_severity=1.5"),
        (["--keep-severity", "nan"], "keep_severity=nan"),
        (["--keep", "kind"], "did you mean 'kinds'"),
        (["--batch", "0"], "batch=0"),
        (["--json", "/nowhere/x.json"], "json='/nowhere/x.json'"),
        (["--out", "/dev/null/x"], "a file is in the way"),
        (["--out", "CORPUS"], "another folder than the corpus's own"),
        (["--subset", "CORPUS"], "a folder of its own"),
        (["--corpus", "/nowhere"], "expected a corpus"),
    ],
)
def test_minimise_refuses_in_one_line(
    command: Run, deviations: Path, tmp_path: Path, arguments: list[str], part: str
) -> None:
    folder = Path(shutil.copytree(deviations, tmp_path / "found"))
    named = [str(folder) if argument == "CORPUS" else argument for argument in arguments]
    ran = command("--corpus", folder, *named)
    assert ran.code == 2
    (line,) = [line for line in ran.err.splitlines() if line.startswith("compd:")]
    assert part in line
    assert "Traceback" not in ran.err


@pytest.mark.slow
def test_an_interrupt_ends_minimisation_in_order(
    command: Run, world: Any, deviations: Path, tmp_path: Path
) -> None:
    out, before = tmp_path / "out", tree(deviations)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "compd",
            "corpus",
            "minimise",
            "--corpus",
            deviations,
            "--out",
            out,
            "--pair",
            world.pair,
            "--trials",
            "100000",
            "--batch",
            "1",
            "--threads",
            "1",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("minimising:"):
                break
        process.send_signal(signal.SIGINT)
        printed, err = process.communicate(timeout=50)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in printed
    assert tree(deviations) == before
    small = Corpus(out, create=True)  # there is none if no entry had ended
    for record in small:
        small.image(record)
