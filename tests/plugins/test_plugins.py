"""Plug-ins of another package, installed apart, and of the caller's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_pair, tiny_splits

import compd
from compd.corpus import Corpus
from compd.data import load_data
from compd.search import STRATEGIES
from compd.search.strategies import Proposal, Search, Strategy, Task

Refuses = Callable[..., AbstractContextManager[None]]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the package is installed in; nothing is downloaded."""
    pytest.importorskip("setuptools")
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source")
    for file in (HERE / "package").rglob("*"):
        if file.is_file() and file.suffix in (".py", ".toml"):
            copy = source / file.relative_to(HERE / "package")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    how = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    done = subprocess.run([*pip, *how, str(source)], capture_output=True, text=True, check=False)
    if done.returncode and "No module named pip" in done.stderr:
        pytest.skip("needs pip")
    assert done.returncode == 0, done.stderr
    return target


def run(site: Path, folder: Path, *words: str, status: int = 0) -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]),
        "COMPD_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "compd", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_strategy_and_a_compression_by_name(site: Path, tmp_path: Path) -> None:
    pair = ["--model", "lenet5", "--epochs", "3", "--compress", "rounded:bits=3"]
    search = ["--strategy", "noise:levels=64,steps=8", "--seeds", "100"]
    run(site, tmp_path, "fuzz", *pair, *search, "--corpus", "found", "--json", "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["compress"] == "rounded"
    assert report["engine"] == "rounded-w3"
    assert report["settings"]["strategy"] == {"name": "noise", "steps": 8, "levels": 64}
    assert report["settings"]["compress"] == {"kind": "rounded", "bits": 3}
    corpus = Corpus(tmp_path / "found")
    assert len(corpus) > 0
    assert {record.strategy["name"] for record in corpus} == {"noise"}
    # replayed on the pair that the corpus itself names, and on one that was saved
    run(site, tmp_path, "corpus", "verify", "--corpus", "found", "--epochs", "3")
    run(site, tmp_path, "compress", *pair, "--out", "saved")
    run(site, tmp_path, "corpus", "verify", "--corpus", "found", "--pair", "saved")
    # without the package it is one line
    said = run(tmp_path, tmp_path, "fuzz", "--pair", "saved", *search, status=2)
    assert "did you mean" in said or "expected strategy to be one of" in said
    assert "Traceback" not in said


def test_a_runtime_by_its_suffix(site: Path, tmp_path: Path) -> None:
    part = load_data("digits", size=8).train
    pixels = part.images.flatten(1).double().numpy() / 255
    hot = np.eye(10)[part.labels.numpy()]
    grams = pixels.T @ pixels + 5 * np.eye(pixels.shape[1])
    weight = np.linalg.solve(grams, pixels.T @ hot).T * 8  # ridge regression: (10, 192)
    step = np.abs(weight).max() / 3
    shape = np.array(part.images.shape[1:])
    np.savez(tmp_path / "float.npz", weight=weight.astype(np.float32), shape=shape)
    rounded = ((weight / step).round() * step).astype(np.float32)
    np.savez(tmp_path / "int3.npz", weight=rounded, shape=shape)
    for name in ("float", "int3"):
        (tmp_path / f"{name}.npz").rename(tmp_path / f"{name}.mine")
    said = run(
        site,
        tmp_path,
        *["fuzz", "--original", "float.mine", "--deployed", "int3.mine", "--data", "digits"],
        *["--eps", "none", "--goal", "first"],
        *[
            "--strategy",
            "noise:levels=80",
            "--seeds",
            "60",
            "--corpus",
            "found",
            "--json",
            "out.json",
        ],
        "--allow-float",
    )
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["engine"] == "mine-cpu"
    assert report["original_accuracy"] > 0.8, said
    assert report["seeds_effective"] > 0
    # told by the numbers themselves
    corpus = Corpus(tmp_path / "found")
    for record in corpus:
        image = corpus.image(record).flatten().double().numpy() / 255
        assert int((weight @ image).argmax()) == record.seed_label == record.original.label
        assert int((rounded @ image).argmax()) == record.deployed.label != record.seed_label


@dataclass(frozen=True)
class Darker:
    """Settings of the search below."""

    levels: int = 40


def search_darker(config: Darker, task: Task) -> Search:
    everyone = torch.arange(len(task.images))
    for step in range(1, config.levels + 1):
        yield Proposal(task.images.short() - step, everyone)


def test_a_strategy_of_the_callers_own(refuses: Refuses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STRATEGIES, "_entries", dict(STRATEGIES._entries))
    compd.register("strategy", "darker", Strategy(Darker, search_darker, gradients=False))
    campaign = compd.fuzz(tiny_pair(), tiny_splits(), strategy="darker:levels=12", limit=8)
    list(campaign)
    assert campaign.settings.strategy == Darker(12)
    assert campaign.summary().forwards_per_seed == 12
    with refuses("new name", "darker"):
        compd.register("strategy", "darker", Strategy(Darker, search_darker))
    with refuses("did you mean 'strategy'"):
        compd.register("strategie", "darker", Strategy(Darker, search_darker))
    for wrong, said in (
        ("darker:level=1", "level with strategy"),
        ("darker:levels", "NAME:SETTING=VALUE"),
        ("darker:levels=many", "a number for levels"),
        ("darkr", "did you mean 'darker'"),
        ("boundary:steps=2.5", "a number for steps"),
    ):
        with refuses(said):
            compd.fuzz(tiny_pair(), tiny_splits(), strategy=wrong)
