"""gate, baseline, hunt and replay on the command line: exit codes, files, and one line of error."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import compd.cli.render.gate
from compd.cli import _run
from compd.compress import Prune
from compd.corpus import Corpus
from compd.gating import Baseline
from compd.images import encode_png
from compd.pair import Pair
from compd.search import Verdict

T = ["--threads", "1"]


@pytest.fixture(scope="module")
def deviations(world, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of what the boundary walk finds on the world's pair."""
    folder = tmp_path_factory.mktemp("gate") / "corpus"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMPD_CACHE", str(world.cache))
        command = ["fuzz", "--pair", world.pair, "--seeds", "8", "--corpus", folder, *T]
        assert _run([str(word) for word in command]) == 0
    return folder


@pytest.fixture
def mine(cached, deviations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The world, and a copy of that corpus in a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    shutil.copytree(deviations, tmp_path / "corpus")
    return cached


def effective(folder: Path) -> list[str]:
    return [r.sha256 for r in Corpus(folder) if r.verdict is Verdict.EFFECTIVE]


def search_from_few_seeds() -> None:
    """The search that is recorded with what is accepted."""
    Path("pyproject.toml").write_text("[tool.compd.gate]\nseeds = 4\n")


def test_from_failing_to_accepted(mine, run, tmp_path: Path) -> None:
    search_from_few_seeds()
    gate = ["gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T]
    hashes = effective(tmp_path / "corpus")
    failed = run(
        *gate,
        "--json",
        "gate.json",
        "--junit",
        "gate.xml",
        "--sarif",
        "gate.sarif",
        "--summary",
        "gate.md",
        "--annotate",
    )
    assert failed.code == 1
    assert f"{len(hashes)} new" in failed.out
    assert "::error file=corpus/metadata.jsonl,line=" in failed.out
    content = json.loads(Path("gate.json").read_text())
    assert (content["verdict"], content["exit_code"]) == ("new deviations", 1)
    assert content["counts"]["new"] == len(hashes)
    for name in ("gate.xml", "gate.sarif", "gate.md"):
        assert hashes[0][:12] in Path(name).read_text()

    assert run("baseline", "accept", hashes[0][:10], "--corpus", "corpus").code == 2
    one = run("baseline", "accept", hashes[0][:10], "--corpus", "corpus", "--reason", "known")
    assert one.code == 0
    all_ = run("baseline", "accept", "--all", "--corpus", "corpus", "--reason", "known, too")
    assert f"accepted: {len(hashes) - 1}" in all_.out
    assert run(*gate).code == 0
    listed = run("baseline", "list", "--corpus", "corpus")
    assert listed.out.count("known") == len(hashes)
    # nothing to prune: the file stays as it is, byte for byte
    before = Path("corpus/baseline.txt").read_bytes()
    assert run("baseline", "prune", "--corpus", "corpus", "--pair", mine.pair, *T).code == 0
    assert Path("corpus/baseline.txt").read_bytes() == before


def test_prune_removes_what_the_corpus_does_not_have(mine, run) -> None:
    line = f"{'e' * 64}\t1 → 2\t0.10\tits entry is gone\n"
    Path("corpus/baseline.txt").write_text(line)
    pruned = run("baseline", "prune", "--corpus", "corpus", "--pair", mine.pair, *T)
    assert (pruned.code, Path("corpus/baseline.txt").read_bytes()) == (0, b"")
    assert "its entry is gone" in pruned.out


def test_what_the_search_finds_can_be_replayed_and_accepted(mine, run, tmp_path: Path) -> None:
    Corpus(tmp_path / "empty", create=True).make()
    search_from_few_seeds()
    gate = ["gate", "--pair", mine.pair, "--corpus", "empty", "--out", "new", *T]
    assert run(*gate).code == 1
    found = Corpus(tmp_path / "new")
    record = next(iter(found))
    picture = tmp_path / f"new/images/{record.sha256[:2]}/{record.sha256}.png"
    replayed = run("replay", picture, "--pair", mine.pair, "--json", "replay.json", *T)
    assert replayed.code == 1
    assert "deviates" in replayed.out
    content = json.loads(Path("replay.json").read_text())
    assert content["deviates"] is True
    assert content["sha256"] == record.sha256
    assert content["severity"] == pytest.approx(record.severity, abs=1e-5)
    accepted = run(
        "baseline", "accept", "--all", "--reason", "known", "--from", "new", "--corpus", "empty"
    )
    assert accepted.code == 0
    assert len(Corpus(tmp_path / "empty")) == len(found)
    assert run(*gate).code == 0
    # a picture of no corpus, on which both agree
    seed = found.seed_image(record)
    (tmp_path / "seed.png").write_bytes(encode_png(seed))
    assert run("replay", "seed.png", "--pair", mine.pair, *T).code == 0


def test_a_pair_runs_on_its_own_engine(mine, run, tmp_path: Path) -> None:
    shutil.copytree(mine.pair, tmp_path / "pair")
    config = tmp_path / "pair/pair.json"
    config.write_text(config.read_text().replace('"engine": "x86"', '"engine": "qnnpack"'))
    run("gate", "--pair", "pair", "--corpus", "corpus", "--only-replay", "--json", "g.json", *T)
    assert json.loads(Path("g.json").read_text())["fingerprint"]["engine"] == "qnnpack"


def test_accepting_on_a_pair_passes_over_what_does_not_deviate(mine, run, tmp_path: Path) -> None:
    search_from_few_seeds()
    accept = ["baseline", "accept", "--all", "--reason", "x", "--corpus", "corpus"]
    agreeing = tmp_path / "same"
    same = Pair.load(mine.pair)
    spec = replace(same.spec, compress=Prune())
    Pair(spec, same.original, same.original, device=same.device).save(agreeing)
    ran = run(*accept, "--pair", agreeing, *T)
    assert ran.code == 0
    assert "accepted: 0" in ran.out
    assert f"passed over: {len(effective(tmp_path / 'corpus'))}" in ran.out
    one = effective(tmp_path / "corpus")[0]
    named = ["baseline", "accept", one, "--reason", "x", "--corpus", "corpus"]
    assert run(*named, "--pair", agreeing, *T).code == 2
    assert not Path("corpus/baseline.txt").exists() or not Path("corpus/baseline.txt").read_text()


@pytest.mark.slow
def test_accepting_at_once_loses_nothing(mine, tmp_path: Path) -> None:
    search_from_few_seeds()
    hashes = effective(tmp_path / "corpus")[:3]
    command = [
        sys.executable,
        "-m",
        "compd",
        "baseline",
        "accept",
        "--corpus",
        "corpus",
        "--pair",
        mine.pair,
        "--threads",
        "1",
        "--reason",
        "x",
    ]
    running = [subprocess.Popen([*command, sha256], stdout=subprocess.PIPE) for sha256 in hashes]
    assert [one.wait() for one in running] == [0] * len(hashes)
    for one in running:
        one.communicate()
    assert set(Baseline.load(Path("corpus/baseline.txt"))) == set(hashes)


@pytest.mark.slow
def test_a_reader_that_leaves_early_changes_no_status(mine, tmp_path: Path) -> None:
    gate = f"{sys.executable} -m compd gate --pair {mine.pair} --corpus corpus --only-replay"
    for options, status in (("--threads 1", 1), ("--threads 1 --max-new 99", 0)):
        line = f"set -o pipefail; {gate} {options} 2>/dev/null | true"
        done = subprocess.run(["bash", "-c", line], check=False)
        assert done.returncode == status


def test_files_of_an_earlier_run_do_not_stay(mine, run) -> None:
    Path("gate.xml").write_text("<old/>")
    Path("corpus/baseline.txt").write_text("broken\n")
    gate = ["gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T]
    assert run(*gate, "--junit", "gate.xml").code == 2
    assert not Path("gate.xml").exists()


def test_the_policy_of_pyproject_counts_and_flags_win(mine, run) -> None:
    gate = ["gate", "--pair", mine.pair, "--corpus", "corpus", *T]
    Path("pyproject.toml").write_text("[tool.compd.gate]\nonly-replay = true\nmax-new = 1000\n")
    passed = run(*gate)
    assert passed.code == 0
    assert "pyproject.toml" in passed.out
    assert run(*gate, "--max-new", "0").code == 1
    Path("pyproject.toml").write_text("[tool.compd.gate]\nmax-nwe = 1\n")
    wrong = run(*gate)
    assert wrong.code == 2
    assert "did you mean 'max-new'" in wrong.err


def test_without_a_pair_it_builds_the_one_the_corpus_names(mine, run) -> None:
    shutil.rmtree("corpus/.compd")  # as on another machine
    ran = run("gate", "--corpus", "corpus", "--epochs", "2", "--only-replay", *T)
    assert ran.code == 1
    assert " new" in ran.out


def test_replaying_needs_no_data(mine, run, tmp_path: Path) -> None:
    shutil.copytree(mine.pair, tmp_path / "pair")
    config = tmp_path / "pair/pair.json"
    config.write_text(config.read_text().replace('"data": "digits"', '"data": "gone/elsewhere"'))
    assert run("corpus", "verify", "--pair", "pair", "--corpus", "corpus", *T).code == 0
    gate = ["gate", "--pair", "pair", "--corpus", "corpus", *T]
    assert run(*gate, "--only-replay").code == 1
    searching = run(*gate)
    assert searching.code == 2
    assert "gone/elsewhere" in searching.err


def test_the_summary_goes_where_github_says(mine, run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("step.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    ran = run("gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T)
    text = Path("step.md").read_text()
    assert text.startswith("before\n")
    assert "data:image/png;base64," in text
    assert sum(line.startswith("::") for line in ran.out.splitlines()) <= 10


def test_a_hunt_grows_the_corpus(mine, run, tmp_path: Path) -> None:
    hunt = [
        "hunt",
        "--pair",
        mine.pair,
        "--corpus",
        "hunted",
        "--rounds",
        "1",
        "--seeds",
        "6",
        "--trials",
        "30",
        "--json",
        "hunt.json",
        *T,
    ]
    assert run(*hunt).code == 0
    content = json.loads(Path("hunt.json").read_text())
    assert content["stored"] == len(Corpus(tmp_path / "hunted")) > 0


def test_a_closed_pipe_changes_no_verdict(mine, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(result: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(compd.cli.render.gate, "print_gate", gone)
    # by its file: the package's own name "gate" is the command
    monkeypatch.setattr(sys.modules["compd.cli.gate"], "silence", lambda: None)
    ran = run("gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T)
    assert ran.code == 1


def test_a_fault_of_the_tool_is_no_new_deviation(
    mine, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("compd.gating.gate", broken)
    ran = run("gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T)
    assert ran.code == 2
    assert "a bug" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gate", "--corpus", "none"], "expected a corpus"),
        (["gate", "--corpus", "corpus", "--min-severity", "2"], "a number in 0..1"),
        (["gate", "--corpus", "corpus", "--config", "none.toml"], "no such file"),
        (["gate", "--corpus", "corpus", "--baseline", "none.txt"], "no such file"),
        (["gate", "--corpus", "corpus", "--strategy", "bondary"], "did you mean 'boundary'"),
        (["gate", "--corpus", "corpus", "--batch", "0"], "at least one image"),
        (["gate", "--corpus", "corpus", "--junit", "no/such/folder.xml"], "existing folder"),
        (["gate", "--corpus", "corpus", "--pair", "none", "--only-replay"], "a pair directory"),
        (["baseline", "accept", "--corpus", "corpus", "--reason", "x"], "the hashes of entries"),
        (["baseline", "accept", "zz", "--corpus", "corpus", "--reason", "x"], "fits 0 of"),
        (["baseline", "accept", "--all", "--corpus", "corpus", "--reason", " "], "a reason"),
        (["replay", "none.png", "--corpus", "corpus"], "No such option"),
        (["hunt", "--corpus", "corpus", "--rounds", "0"], "rounds >= 1"),
        (["hunt", "--corpus", "corpus", "--time", "-1"], "time > 0"),
    ],
)
def test_bad_input_is_one_line(mine, run, arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("compd: ")]) == 1


def test_replay_refuses_what_is_no_picture_of_the_pair(mine, run, tmp_path: Path) -> None:
    (tmp_path / "big.png").write_bytes(encode_png(torch.zeros(3, 9, 9, dtype=torch.uint8)))
    (tmp_path / "text.png").write_text("no picture")
    for name, said in (
        ("big.png", "of shape"),
        ("text.png", "readable image"),
        ("none.png", "expected to read"),
    ):
        ran = run("replay", name, "--pair", mine.pair, *T)
        assert ran.code == 2
        assert said in ran.err
    assert "expected --pair DIR or --model" in run("replay", "big.png", *T).err


def test_a_hostile_baseline_is_one_line(mine, run) -> None:
    gate = ["gate", "--pair", mine.pair, "--corpus", "corpus", "--only-replay", *T]
    baseline = Path("corpus/baseline.txt")

    def refused() -> str:
        ran = run(*gate)
        assert ran.code == 2
        (line,) = [line for line in ran.err.splitlines() if line.startswith("compd: ")]
        return line

    baseline.write_text("what is this\n")
    assert "baseline.txt line 1" in refused()
    baseline.write_bytes(b"\x1b[31m" * 100)
    assert "\x1b" not in refused()
    with baseline.open("wb") as file:
        file.truncate(1 << 40)
    assert "at most" in refused()
    baseline.unlink()
    baseline.symlink_to("/etc/passwd")
    assert "leads out of it" in refused()
    # what is accepted is never written through a link
    assert run("baseline", "accept", "--all", "--reason", "x", "--corpus", "corpus").code == 2
    baseline.unlink()
    os.mkfifo(baseline)
    assert "regular file" in refused()
