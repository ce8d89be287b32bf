"""``compd repair`` by its command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_files import onnx_files, photos

from compd.corpus import Corpus
from compd.errors import InputError
from compd.pair import Pair
from compd.pair.from_files import pair_of_files
from compd.repairing import RepairResult, repair

Run = Callable[..., Any]
QUICK = ("--threads", 1, "--rounds", 1, "--steps", 6, "--seeds", 6)


@pytest.fixture(scope="module")
def found(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of the pair's."""
    from compd.cli import _run

    folder = tmp_path_factory.mktemp("repair") / "found"
    search = ["fuzz", "--pair", str(world.pair), "--seeds", "30", "--threads", "1"]
    assert _run([*search, "--eps", "24", "--corpus", str(folder)]) == 0
    assert len(Corpus(folder)) > 5
    return folder


@pytest.mark.slow
def test_repair_prints_the_whole_verdict_and_writes_it(
    run: Run, cached: Any, found: Path, tmp_path: Path
) -> None:
    out, target = tmp_path / "fixed", tmp_path / "repair.json"
    ran = run(
        "repair", "--pair", cached.pair, "--corpus", found, "--out", out, "--json", target, *QUICK
    )
    assert ran.code == 0, ran.err
    for text in (
        "natural disagreement",
        "fixed",
        "stubborn",
        "new (McNemar",
        "mean KL",
        "of the corpus, still effective",
        "found on held-out seeds",
        "boundary, severe",
        "blackbox",
        "dflare",
        "FGSM 8/255",
        "PGD-20",
        "within 24/255",
        f"next: compd fuzz --pair {out}",
        f"next: compd corpus verify --pair {out} --corpus {found}",
    ):
        assert text in ran.out, text
    result = RepairResult.from_json(json.loads(target.read_text()))
    assert result.pair == str(out)
    assert Pair.load(out).hashes["deployed"] == result.fingerprint["deployed_sha256"]


def test_a_dry_run_writes_nothing(run: Run, cached: Any, found: Path, tmp_path: Path) -> None:
    out = tmp_path / "fixed"
    ran = run(
        "repair",
        "--pair",
        cached.pair,
        "--corpus",
        found,
        "--out",
        out,
        "--dry-run",
        "--rounds",
        2,
        "--steps",
        7,
    )
    assert ran.code == 0, ran.err
    assert f"{len(Corpus(found))} of the corpus" in ran.out
    assert "at most 2 of 7 steps" in ran.out
    assert not out.exists()


def test_another_pairs_corpus(run: Run, cached: Any, found: Path, tmp_path: Path) -> None:
    other = ("--model", "lenet5", "--epochs", 2, "--compress", "ptq", "--weight-bits", 4)
    ran = run("repair", *other, "--corpus", found, "--out", tmp_path / "fixed", *QUICK)
    assert ran.code == 2
    assert ran.err.strip().count("\n") == 0 or "compd:" in ran.err.splitlines()[-1]
    assert "--force" in ran.err


def test_the_corpus_of_two_files(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is opened or trained for it, whatever else is named."""
    original, deployed = onnx_files()
    corpus = tmp_path / "corpus"
    files = ("--original", original, "--deployed", deployed, "--data", photos())
    searched = run("fuzz", *files, "--seeds", 20, "--corpus", corpus, "--threads", 1)
    assert searched.code == 0, searched.err
    monkeypatch.setattr("compd.pair.requests.build_pair", None)
    for named in ((), ("--model", "lenet5"), ("--pair", tmp_path)):
        ran = run("repair", "--corpus", corpus, "--out", tmp_path / "fixed", *named, *QUICK)
        assert ran.code == 2
        said = ran.err.splitlines()[-1]
        for part in (original.name, deployed.name, "cannot be trained", "repair --pair", "export"):
            assert part in said
    pair, splits = pair_of_files(original, deployed, data=str(photos()))
    with pytest.raises(InputError, match="cannot be trained"):
        repair(pair, Corpus(corpus), out=tmp_path / "fixed", splits=splits)
    assert not (tmp_path / "fixed").exists()


def test_without_a_pair_it_is_the_corpuss_own(
    run: Run, found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("compd.pair.requests.build_pair", None)  # of the default model
    ran = run("repair", "--corpus", found, "--out", tmp_path / "fixed", *QUICK)
    assert ran.code == 2
    assert "the pair" in ran.err.splitlines()[-1]
    assert "--pair DIR" in ran.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--corpus", "nowhere"), "nowhere"),
        (("--method", "magic"), "magic"),
        (("--rounds", 0), "rounds=0"),
        (("--lr", -1), "lr=-1"),
        (("--classes", "purple"), "purple"),
    ],
)
def test_bad_input(
    run: Run, cached: Any, found: Path, arguments: tuple[object, ...], named: str, tmp_path: Path
) -> None:
    corpus = () if "--corpus" in arguments else ("--corpus", found)
    ran = run("repair", "--pair", cached.pair, *corpus, "--out", tmp_path / "o", *arguments)
    assert ran.code == 2
    assert named in ran.err.splitlines()[-1]
    assert not (tmp_path / "o").exists()


def test_a_pair_is_not_written_over(run: Run, cached: Any, found: Path) -> None:
    ran = run("repair", "--pair", cached.pair, "--corpus", found, "--out", f"{cached.pair}/.")
    assert ran.code == 2
    assert "another directory than the pair's own" in ran.err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("short_verdict")
def test_a_factorys_pair_is_repaired_if_it_is_trusted(
    run: Run, cached: Any, found: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebodys.py").write_text(
        "from compd.models import build_zoo_model\n\n\n"
        "def make():\n    return build_zoo_model('lenet5', classes=10, size=32)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    model = ("--model", "somebodys:make", "--epochs", 2, "--compress", "ptq")
    made = run("compress", *model, "--out", "pair")
    assert made.code == 0, made.err
    repair = ("repair", "--pair", "pair", "--corpus", found, "--force", "--out", "fixed", *QUICK)
    refused = run(*repair)
    assert refused.code == 2
    assert "expected --trust" in refused.err
    ran = run(*repair, "--trust")
    assert ran.code == 0, ran.err
    assert "next: compd fuzz --pair fixed --trust" in ran.out
    target = ("--to", "safetensors", "--of", "original", "--out", "model.safetensors")
    assert run("export", "--pair", "pair", *target).code == 2
    assert run("export", "--pair", "pair", "--trust", *target).code == 0


@pytest.mark.slow(2)
def test_killed_at_any_moment_it_ends_the_same(run: Run, tmp_path: Path) -> None:
    # of few images: each run searches from all of the selection rows
    pair, found = tmp_path / "pair", tmp_path / "found"
    model = ("--model", "lenet5", "--data", photos(), "--epochs", 4, "--compress", "ptq")
    assert run("compress", *model, "--out", pair, "--threads", 1).code == 0
    search = ("--seeds", 30, "--eps", 24, "--corpus", found, "--threads", 1)
    assert run("fuzz", "--pair", pair, *search).code == 0
    command = [
        sys.executable,
        "-m",
        "compd",
        "repair",
        "--pair",
        str(pair),
        "--corpus",
        str(found),
        "--threads",
        "1",
        "--rounds",
        "1",
        "--steps",
        "40",
        "--seeds",
        "2",
    ]
    whole = [*command, "--out", str(tmp_path / "whole")]
    assert subprocess.run(whole, capture_output=True).returncode == 0
    cut = [*command, "--out", str(tmp_path / "cut")]
    for number in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(cut, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        for line in process.stderr:  # until it trains
            if line.startswith("repairing"):
                break
        process.send_signal(number)
        process.communicate()
        assert process.returncode in (130, -signal.SIGKILL)
    assert subprocess.run(cut, capture_output=True).returncode == 0
    hashes = [Pair.load(tmp_path / name).hashes for name in ("whole", "cut")]
    assert hashes[0] == hashes[1]
