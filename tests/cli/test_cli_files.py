"""Files of somebody's toolchain at the command line, as a newcomer would type it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_files import onnx_files, photos

Run = Callable[..., Any]


def files(flat: bool = False) -> list[str]:
    original, deployed = onnx_files()
    return [
        "--original",
        str(original),
        "--deployed",
        str(deployed),
        "--data",
        str(photos(flat=flat)),
        "--threads",
        "1",
    ]


ANYWHERE = ["--eps", "none", "--goal", "first"]


def test_from_two_files_to_a_picture(run: Run, tmp_path: Path) -> None:
    corpus, out = str(tmp_path / "corpus"), str(tmp_path / "a.png")
    report = tmp_path / "r.json"
    done = run(
        "fuzz", *files(), *ANYWHERE, "--seeds", "20", "--corpus", corpus, "--json", str(report)
    )
    assert done.code == 0, done.err
    assert "100.00 % of operators in integers" in done.out or "in int8" in done.out
    assert "stable" in done.out
    content = json.loads(report.read_text())
    assert content["seeds_effective"] >= 18
    assert sum(content["trust"].values()) == content["images_effective"]
    assert content["compress"] == "given"
    assert run("corpus", "show", "--corpus", corpus, "--out", out).code == 0
    assert Path(out).read_bytes().startswith(b"\x89PNG")
    assert run("corpus", "verify", "--corpus", corpus, *files()).code == 0
    assert run("corpus", "verify", "--corpus", corpus).code == 0  # it knows them on this machine
    shutil.rmtree(f"{corpus}/.compd")
    alone = run("corpus", "verify", "--corpus", corpus)
    assert alone.code == 2
    assert "--original whole.onnx --deployed whole.int8.onnx" in alone.err
    stats = run("corpus", "stats", "--corpus", corpus)
    assert "stable: " in stats.out


def test_check(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "check.json"
    done = run("check", *files(), "--json", str(file))
    assert done.code == 0, done.err
    assert "whole.int8.onnx" in done.out
    assert done.out.count("compressed: ") == 1
    assert "QuantizeLinear, int8, uint8" in done.out
    assert json.loads(file.read_text())["faults"] == []
    bad = run("check", *files(), "--output", "probs")
    assert bad.code == 2
    assert "--output logits" in bad.err


def test_an_output_by_name(run: Run) -> None:
    done = run("check", *files(), "--output-name", "logits")
    assert done.code == 0, done.err
    for option in (["--output-name", "x"], ["--deployed-input", "output-name=x"]):
        bad = run("check", *files(), *option)
        assert bad.code == 2
        assert "(logits), got --output-name x" in bad.err


def test_a_refused_pair_leaves_no_corpus(run: Run, tmp_path: Path) -> None:
    corpus = tmp_path / "new" / "corpus"
    done = run("fuzz", *files(), "--output", "probs", "--seeds", "20", "--corpus", str(corpus))
    assert done.code == 2, done.out
    assert not corpus.parent.exists()


def test_compare(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "compare.json"
    done = run(
        "compare",
        *files(),
        "--seeds",
        "50",
        "--runtimes",
        f"original,deployed,plain,saturating,{onnx_files()[1]}",
        "--json",
        str(file),
    )
    assert done.code == 0, done.err
    content = json.loads(file.read_text())
    assert content["images"] == 50
    assert content["names"][-1] == str(onnx_files()[1])
    assert content["apart"][1][4] == 0  # the same file
    assert all(content["apart"][i][i] == 0 for i in range(5))


def test_recorded_outputs(run: Run, tmp_path: Path) -> None:
    corpus = str(tmp_path / "corpus")
    assert run("fuzz", *files(), *ANYWHERE, "--seeds", "5", "--corpus", corpus).code == 0
    done = run("export-inputs", "--corpus", corpus, "--out", str(tmp_path / "inputs"))
    assert done.code == 0, done.err
    listed = (tmp_path / "inputs" / "inputs.jsonl").read_text().splitlines()
    assert len(listed) == 10  # five entries and their seeds
    outputs = tmp_path / "o.jsonl"
    outputs.write_text(
        "\n".join(
            json.dumps({"sha256": json.loads(line)["sha256"], "logits": [0.0, 1.0, 2.0]})
            for line in listed
        )
    )
    original = files()[:2]
    done = run(
        "corpus",
        "verify",
        "--corpus",
        corpus,
        *original,
        "--deployed",
        str(outputs),
        "--data",
        str(photos()),
    )
    assert done.code in (0, 1), done.err
    assert "recorded" in done.out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--original", "nowhere.onnx", "--deployed", "x.onnx", "--data", "d"], "nowhere.onnx"),
        (["--original", __file__], "--deployed FILE"),
        (["--layout", "NHWC"], "--layout without"),
        (["--deployed", "nowhere.tflite"], "nowhere.tflite"),
        (["--deployed", __file__, "--labels", __file__], "leave it out"),
        (["--deployed", __file__, "--labels-offset", "1"], "leave it out"),
    ],
)
def test_mistakes(run: Run, arguments: list[str], part: str) -> None:
    done = run("check", *arguments)
    assert done.code == 2
    lines = [line for line in done.err.splitlines() if line.startswith("compd: ")]
    assert len(lines) == 1, done.err
    assert part in lines[0]


def test_clashes(run: Run) -> None:
    for extra in (["--model", "resnet18"], ["--engine", "x86"], ["--compress", "ptq"]):
        done = run("check", *files(), *extra)
        assert done.code == 2
        assert extra[0] in done.err
    done = run("check", *files(), "--deployed-input", "colour=red")
    assert done.code == 2
    assert "colour" in done.err


def test_a_gate_on_the_pair_the_wrong_way_round_is_not_clean(run: Run, tmp_path: Path) -> None:
    corpus = str(tmp_path / "corpus")
    assert run("fuzz", *files(), "--seeds", "20", "--corpus", corpus).code == 0
    assert run("baseline", "accept", "--all", "--reason", "x", "--corpus", corpus).code == 0
    words = files()
    words[1], words[3] = words[3], words[1]
    gate = ["gate", "--corpus", corpus, "--only-replay"]
    swapped = run(*gate, *words)
    assert swapped.code == 3, swapped.out
    assert "is this the corpus's pair?" in swapped.out
    assert run(*gate, *files()).code == 0
