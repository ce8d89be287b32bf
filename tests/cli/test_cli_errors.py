"""Each mistake gives status 2 and one line that starts with the program's name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

Run = Callable[..., Any]
NOWHERE = "/nowhere/at/all"


def _told(ran: Any, *parts: str, worked: bool = False) -> str:
    """The one line that a failed command printed; ``worked`` if progress came before it."""
    lines = ran.err.splitlines()
    assert ran.code == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    if worked:
        lines = [line for line in lines if line.startswith("compd:")]
    assert len(lines) == 1, ran.err
    assert lines[0].startswith("compd: ")
    for part in parts:
        assert part in lines[0]
    return str(lines[0])


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--model", "resnet19"], ["model='resnet19'", "did you mean 'resnet18'"]),
        (["--model", "zzz"], ["lenet5", "pkg.module:factory"]),
        (["--model", "no_such_pkg:make"], ["no_such_pkg"]),
        (["--engine", "x68"], ["engine='x68'", "did you mean 'x86'"]),
        (["--strategy", "dvia"], ["strategy='dvia'", "did you mean 'diva'"]),
        (["--compress", "qta"], ["compress='qta'", "did you mean 'qat'"]),
        (["--strategy", "compd", "--coverage", "neurons"], ["did you mean 'neuron'"]),
        (["--strategy", "compd", "--coverage", "layer"], ["coverage='layer'", "neuron, none"]),
        (["--strategy", "diva", "--coverage", "neuron"], ["coverage with strategy compd", "diva"]),
        (["--coverage", "neuron"], ["coverage with strategy compd", "boundary"]),
        (["--queries", "-9"], ["queries=-9"]),
        (["--strategy", "dflare", "--queries", "0"], ["queries=0"]),
        (["--compress", "prune", "--engine", "x86"], ["engine='x86'", "leave --engine out"]),
        (["--compress", "ptq", "--weight-bits", "9"], ["weight_bits=9"]),
        (["--compress", "qat", "--weight-bits", "4"], ["weight_bits in 7..8", "weight_bits=4"]),
        (["--compress", "prune", "--weight-bits", "4"], ["--weight-bits", "qat or ptq"]),
        (["--activation-bits", "6"], ["7 or 8", "activation_bits=6"]),
        (["--compress", "prune", "--amount", "1.5"], ["amount=1.5"]),
        (["--mean", "a,b,c", "--std", "1,1,1"], ["mean='a,b,c'", "0.49,0.48,0.45"]),
        (["--mean", "0.5,0.5,0.5"], ["mean and std together"]),
        (["--mean", "0.5", "--std", "0.5"], ["3 channels"]),
        (["--weights", f"{NOWHERE}.pt"], ["no such file"]),
        (["--weights", __file__], [".safetensors"]),
        (["--data", NOWHERE], [f"data='{NOWHERE}'"]),
        (["--data", "./*.parquet"], ["no parquet file matches"]),
        (["--channels", "2"], ["channels=2"]),
        (["--size", "4"], ["size=4"]),
        (["--steps", "0"], ["steps=0"]),
        (["--epochs", "0"], ["epochs=0"]),
        (["--threads", "0"], ["threads=0"]),
        (["--json", f"{NOWHERE}/x.json"], [f"json='{NOWHERE}/x.json'"]),
        (["--json", "."], ["json='.'"]),
        (["--corpus", "/dev/null/corpus"], ["a file is in the way"]),
        (["--pair", NOWHERE], [f"pair='{NOWHERE}'", "compd compress --out"]),
        (["--pair", "x", "--model", "lenet5"], ["--pair or --model"]),
        (["--pair", "x", "--weights", "w"], ["--pair or --weights"]),
        (["--pair", "x", "--fine-tune-epochs", "3"], ["--pair or --fine-tune-epochs"]),
        (["--eps", "many"], ["--eps", "levels"]),
        (["--seeds", "2.5"], ["--seeds"]),
        (["--time", "soon"], ["--time"]),
        (["--batch", ""], ["--batch"]),
        (["--no-such-option"], ["--no-such-option"]),
        (["surplus"], ["surplus"]),
    ],
)
def test_fuzz_refuses_in_one_line(
    run: Run,
    arguments: list[str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    small = [] if {"--model", "--pair"} & set(arguments) else ["--model", "lenet5"]
    _told(run("fuzz", *small, *arguments), *parts)
    assert not (tmp_path / "compd-corpus").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--eps", "0"], "eps=0"),
        (["--eps", "256"], "eps=256"),
        (["--eps", "-8"], "eps=-8"),
        (["--seeds", "0"], "seeds=0"),
        (["--seeds", "-1"], "seeds=-1"),
        (["--time", "0"], "time=0"),
        (["--time", "nan"], "time=nan"),
        (["--batch", "0"], "batch=0"),
        (["--batch", "-4"], "batch=-4"),
        (["--keep", "all"], "keep='all'"),
    ],
)
def test_fuzz_refuses_a_campaign_that_makes_no_sense(
    run: Run, cached: Any, arguments: list[str], part: str
) -> None:
    _told(run("fuzz", "--pair", cached.pair, *arguments), part, worked=True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["frobnicate"], "frobnicate"),
        (["corpus", "frobnicate"], "frobnicate"),
        (["compress"], "--out"),
        (["train"], "--out"),
        (["train", "--out", "weights.pt"], ".safetensors"),
        (["train", "--out", "w.safetensors", "--model", "lenet"], "did you mean 'lenet5'"),
        (["corpus", "list", "--limit", "x"], "--limit"),
    ],
)
def test_other_commands_refuse_in_one_line(
    run: Run, arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _told(run(*arguments), part)
    assert not list(tmp_path.glob("w*"))


def test_weights_of_another_architecture_are_refused(run: Run, cached: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"conv9.weight": torch.zeros(2, 2)}, other)
    parts = ["expected weights of this architecture", "missing", "unknown conv9.weight"]
    _told(run("fuzz", "--model", "resnet20", "--weights", other), *parts)
    _told(run("fuzz", "--model", "vgg11", "--weights", cached.pair / "original.safetensors"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_weights_are_refused(run: Run, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(b"\x80\x02nonsense" * 9)
    _told(run("fuzz", "--model", "lenet5", "--weights", file), str(file))


# --- pairs ---


@pytest.fixture
def pair(world: Any, tmp_path: Path) -> Path:
    """A copy of a pair, to be spoiled."""
    return Path(shutil.copytree(world.pair, tmp_path / "pair"))


@pytest.mark.parametrize("name", ["original.safetensors", "shadow.safetensors"])
@pytest.mark.parametrize("left", [0, 4, 200, -1])
def test_a_pair_with_a_truncated_file_is_refused(
    run: Run, pair: Path, name: str, left: int
) -> None:
    content = (pair / name).read_bytes()
    (pair / name).write_bytes(content[:left])
    _told(run("fuzz", "--pair", pair), name)


@pytest.mark.parametrize("name", ["original.safetensors", "shadow.safetensors"])
def test_a_pair_with_other_weights_is_refused(run: Run, pair: Path, name: str) -> None:
    tensors = load_file(pair / name)
    key = next(key for key, tensor in tensors.items() if tensor.ndim == 4)
    tensors[key].view(-1)[0] += 1
    save_file(tensors, pair / name)
    _told(run("fuzz", "--pair", pair), name, "do not belong together")


@pytest.mark.parametrize("name", ["original.safetensors", "shadow.safetensors", "pair.json"])
def test_a_pair_without_a_file_is_refused(run: Run, pair: Path, name: str) -> None:
    (pair / name).unlink()
    _told(run("fuzz", "--pair", pair), str(pair))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 1}', '{"format": 99}', "\ufffd"]
)
def test_a_pair_with_a_broken_description_is_refused(run: Run, pair: Path, text: str) -> None:
    (pair / "pair.json").write_text(text)
    _told(run("fuzz", "--pair", pair), str(pair))


def test_a_pair_with_another_hash_is_refused(run: Run, pair: Path) -> None:
    content = json.loads((pair / "pair.json").read_text())
    content["hashes"]["shadow"] = "0" * 64
    (pair / "pair.json").write_text(json.dumps(content))
    _told(run("fuzz", "--pair", pair), "shadow.safetensors", "do not belong together")


def test_a_pair_on_an_unknown_engine_is_refused(run: Run, pair: Path) -> None:
    _told(run("fuzz", "--pair", pair, "--engine", "qnpack"), "did you mean 'qnnpack'")


def test_compress_writes_into_no_other_folder(run: Run, cached: Any, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    model = ["--model", "lenet5", "--epochs", "2", "--compress", "ptq"]
    _told(run("compress", *model, "--out", tmp_path), "holds other files", worked=True)
    assert [path.name for path in tmp_path.glob("[!c]*")] == ["precious.txt"]


# --- corpora ---


@pytest.mark.parametrize("command", ["list", "stats", "show", "verify", "minimise"])
def test_what_is_no_corpus_is_refused(run: Run, tmp_path: Path, command: str) -> None:
    _told(run("corpus", command, "--corpus", tmp_path), "expected a corpus", str(tmp_path))


@pytest.mark.parametrize("command", ["list", "stats", "show", "verify", "minimise"])
def test_a_corpus_has_to_be_named_or_to_be_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _told(run("corpus", command), "expected --corpus DIR", "got none")


def test_of_several_corpora_the_latest_is_taken_and_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, age in (("a", 10), ("b", 20), ("c", 0)):
        metadata = tmp_path / "compd-corpus" / name / "metadata.jsonl"
        metadata.parent.mkdir(parents=True)
        metadata.touch()
        os.utime(metadata, (1000 + age, 1000 + age))
    ran = run("corpus", "stats")
    assert ran.code == 0
    assert "--corpus compd-corpus/b" in ran.err
    assert "compd-corpus/b" in ran.out


def test_a_broken_corpus_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text("nonsense\n")
    _told(run("corpus", "list", "--corpus", tmp_path), "line 1")


def test_an_ambiguous_hash_is_refused(run: Run, world: Any) -> None:
    _told(run("corpus", "show", "", "--corpus", world.corpus), "fits 240 of 240")
    _told(run("corpus", "show", "xyz", "--corpus", world.corpus), "fits 0 of 240")


def test_show_writes_pictures_only(run: Run, world: Any, tmp_path: Path) -> None:
    show = ["corpus", "show", "--corpus", world.corpus, "--out"]
    _told(run(*show, tmp_path / "x.jpg"), ".png")
    (tmp_path / "file").touch()
    _told(run(*show, tmp_path / "file" / "x.png"), "a file is in the way")
    (tmp_path / "folder.png").mkdir()
    _told(run(*show, tmp_path / "folder.png"), "folder.png")


def test_show_of_an_empty_corpus_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").touch()
    _told(run("corpus", "show", "--corpus", tmp_path), "empty corpus")


@pytest.mark.parametrize("batch", ["0", "-5"])
def test_verify_never_passes_without_looking(run: Run, cached: Any, batch: str) -> None:
    verify = ["corpus", "verify", "--corpus", cached.corpus, "--pair", cached.pair]
    _told(run(*verify, "--batch", batch), f"batch={batch}", worked=True)


# --- the whole program ---


def test_a_traceback_is_shown_when_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    ran = run("--debug", "corpus", "list", "--corpus", tmp_path)
    assert ran.code == 2
    assert "Traceback" in ran.err
    assert ran.err.splitlines()[-1].startswith("compd: expected a corpus")
