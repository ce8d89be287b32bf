"""The main path, by its commands: fuzz, look, replay, interrupt."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from compd.corpus import Corpus

Run = Callable[..., Any]
KEYS = {
    "model",
    "data",
    "compress",
    "engine",
    "strategy",
    "original_accuracy",
    "deployed_accuracy",
    "shadow_deployed_disagreement",
    "natural_disagreement",
    "seeds",
    "seeds_effective",
    "images_effective",
    "images_valid",
    "images_invalid",
    "severity_median",
    "severity_p90",
    "linf_max",
    "l2_mean",
    "gradients_per_seed",
    "forwards_per_seed",
    "seconds",
    "corpus",
    "fingerprint",
}


def test_fuzz_reports_the_documented_keys(world: Any) -> None:
    assert world.codes == (0, 0)
    report = json.loads(world.json.read_text())
    assert set(report) >= KEYS
    assert (report["model"], report["data"], report["compress"]) == ("lenet5", "digits", "ptq")
    assert (report["engine"], report["strategy"]) == ("x86", "diva")
    assert report["seeds"] == 40
    assert report["gradients_per_seed"] == report["forwards_per_seed"] == 6
    counts = [report[f"images_{verdict}"] for verdict in ("effective", "valid", "invalid")]
    assert sum(counts) == 6 * 40
    assert 0 <= report["seeds_effective"] <= min(40, counts[0])
    for share in ("original_accuracy", "deployed_accuracy", "natural_disagreement"):
        assert 0 <= report[share] <= 1
    assert report["stopped"] == "done"
    assert report["corpus"] == str(world.corpus)
    assert report["stored"] == len(Corpus(world.corpus))
    assert {"deployed_sha256", "torch", "cpu_flags", "threads"} <= set(report["fingerprint"])


def test_the_corpus_agrees_with_the_report(run: Run, world: Any, tmp_path: Path) -> None:
    report = json.loads(world.json.read_text())
    ran = run("corpus", "stats", "--corpus", world.corpus, "--json", tmp_path / "stats.json")
    assert (ran.code, ran.err) == (0, "")
    numbers = json.loads((tmp_path / "stats.json").read_text())
    assert numbers["entries"] == report["stored"]
    for key in ("seeds_effective", "severity_median", "severity_p90", "linf_max", "l2_mean"):
        assert numbers[key] == report[key]
    assert f"{numbers['effective']} effective, {numbers['valid']} valid" in ran.out


def test_reports_on_a_corpus_name_the_rows(run: Run, cached: Any, tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    rows = {record.seed_row for record in Corpus(cached.corpus)}
    numbers = sorted(int(row.removeprefix("all[").removesuffix("]")) for row in rows)
    named = f"digits all[{numbers[0]}:{numbers[-1] + 1}], {len(numbers)} rows"
    for command in (["stats"], ["verify", "--pair", cached.pair, "--threads", 1]):
        ran = run("corpus", *command, "--corpus", cached.corpus, "--json", target)
        assert ran.code == 0
        assert named in ran.out
        (part,) = json.loads(target.read_text())["rows"]
        assert (part["data"], part["source"], part["count"]) == ("digits", "all", len(numbers))
        ranges = [range(*map(int, span.split(":"))) for span in part["ranges"]]
        assert [row for span in ranges for row in span] == numbers


@pytest.mark.parametrize("batch", [7, 64])
def test_verify_confirms_what_was_stored(run: Run, cached: Any, tmp_path: Path, batch: int) -> None:
    target = tmp_path / "verified.json"
    ran = run(
        "corpus",
        "verify",
        "--corpus",
        cached.corpus,
        "--pair",
        cached.pair,
        "--json",
        target,
        "--batch",
        batch,
        "--threads",
        1,
    )
    assert ran.code == 0, ran.out
    content = json.loads(target.read_text())
    assert content["unchanged"] == content["entries"] == len(Corpus(cached.corpus))
    assert content["changed"] == content["damaged"] == []
    assert content["fingerprint_changes"] == {}


def test_verify_reports_a_damaged_picture(run: Run, cached: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(cached.corpus, tmp_path / "corpus")
    records = list(Corpus(folder))
    sha256 = records[0].sha256
    other = records[1].sha256
    shutil.copy(
        folder / f"images/{other[:2]}/{other}.png", folder / f"images/{sha256[:2]}/{sha256}.png"
    )
    ran = run("corpus", "verify", "--corpus", folder, "--pair", cached.pair, "--threads", 1)
    assert ran.code == 1
    assert sha256[:12] in ran.out
    assert other[:12] not in ran.out


def test_verify_reports_what_no_longer_holds(run: Run, cached: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(cached.corpus, tmp_path / "corpus")
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    content = json.loads(lines[0])
    turned = {"effective": "valid", "valid": "effective"}[content["verdict"]]
    lines[0] = json.dumps(content | {"verdict": turned})
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    ran = run("corpus", "verify", "--corpus", folder, "--pair", cached.pair, "--threads", 1)
    assert ran.code == 1
    assert f"{turned} → {content['verdict']}" in ran.out


def test_verify_says_what_differs_on_another_engine(run: Run, cached: Any) -> None:
    verify = ["corpus", "verify", "--corpus", cached.corpus, "--pair", cached.pair]
    ran = run(*verify, "--engine", "fbgemm", "--threads", 1)
    assert ran.code in (0, 1)  # another engine may answer otherwise
    assert "stored x86, here fbgemm" in ran.out


def test_list_shows_the_most_severe_first(run: Run, world: Any) -> None:
    ran = run("corpus", "list", "--corpus", world.corpus, "--limit", 5)
    assert (ran.code, ran.err) == (0, "")
    head, *lines, more = ran.out.splitlines()
    assert head.split()[:2] == ["hash", "verdict"]
    best = sorted(Corpus(world.corpus), key=lambda record: (-record.severity, record.sha256))
    assert [line.split()[0] for line in lines] == [record.sha256[:12] for record in best[:5]]
    assert more.startswith(f"and {len(best) - 5} more")
    assert len(run("corpus", "list", "--corpus", world.corpus, "--limit", 0).out.splitlines()) == (
        len(best) + 1
    )


def test_list_prints_names_as_they_are(run: Run, world: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(world.corpus, tmp_path / "corpus")
    lines = (folder / "metadata.jsonl").read_text().splitlines()
    content = json.loads(lines[0])
    content["original"]["name"] = "[/red] [bold]"
    (folder / "metadata.jsonl").write_text(json.dumps(content) + "\n")
    for command in ("list", "stats"):
        ran = run("corpus", command, "--corpus", folder)
        assert ran.code == 0
        assert "[/red] [bold] →" in ran.out or content["verdict"] == "valid"


@pytest.mark.parametrize("entry", [False, True])
def test_show_writes_a_picture(run: Run, world: Any, tmp_path: Path, entry: bool) -> None:
    target = tmp_path / "new" / "sheet.png"
    chosen = [next(iter(Corpus(world.corpus))).sha256[:16]] if entry else ["--count", 3]
    ran = run("corpus", "show", *chosen, "--corpus", world.corpus, "--out", target)
    assert (ran.code, ran.err) == (0, "")
    assert f"picture: {target}" in ran.out
    assert len(ran.out.splitlines()) == (1 if entry else 3) + 1
    with Image.open(target) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_a_torn_corpus_is_read_with_one_warning(run: Run, world: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(world.corpus, tmp_path / "corpus")
    content = (folder / "metadata.jsonl").read_bytes()
    (folder / "metadata.jsonl").write_bytes(content[:-9])
    ran = run("corpus", "stats", "--corpus", folder)
    assert ran.code == 0
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("compd: warning: dropped a torn last line")


def test_the_same_campaign_gives_the_same_corpus(run: Run, cached: Any, tmp_path: Path) -> None:
    options = ["--strategy", "diva", "--seeds", 40, "--steps", 6, "--keep", "valid", "--threads", 1]
    ran = run("fuzz", "--pair", cached.pair, *options, "--corpus", tmp_path / "again")
    assert ran.code == 0, ran.err
    for file in sorted(path for path in cached.corpus.rglob("*") if path.is_file()):
        if file.parent.name == ".compd":  # what this machine remembers is no part of a corpus
            continue
        again = tmp_path / "again" / file.relative_to(cached.corpus)
        assert again.read_bytes() == file.read_bytes()
    assert "240 new" in ran.out
    assert (
        "0 new" in run("fuzz", "--pair", cached.pair, *options, "--corpus", tmp_path / "again").out
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_campaign_in_order(
    cached: Any, tmp_path: Path, number: signal.Signals
) -> None:
    corpus, target = tmp_path / "corpus", tmp_path / "report.json"
    command = [
        sys.executable,
        "-m",
        "compd",
        "fuzz",
        "--pair",
        cached.pair,
        "--seeds",
        "8",
        "--strategy",
        "diva",
        "--steps",
        "1000000",
        "--keep",
        "valid",
        "--corpus",
        corpus,
        "--json",
        target,
        "--threads",
        "1",
    ]
    with subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("searching:"):
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=50)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert "interrupted" in out
    report = json.loads(target.read_text())
    assert report["stopped"] == "interrupted"
    opened = Corpus(corpus)
    assert len(opened) == report["stored"] > 0
    for record in opened:
        opened.image(record)
        opened.seed_image(record)
