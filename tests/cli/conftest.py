"""The command line in this process, and one small pair and campaign for all tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from compd.cli import _run
from compd.repairing.fresh import searches_of
from compd.repairing.settings import RepairSettings
from compd.search import SearchSettings

MODEL = ["--model", "lenet5", "--epochs", "2", "--compress", "ptq"]
CAMPAIGN = ["--strategy", "diva", "--seeds", "40", "--steps", "6", "--keep", "valid"]
CAMPAIGN += ["--threads", "1"]


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """Made once: a saved pair, and a corpus with the JSON of its campaign."""

    cache: Path
    pair: Path
    corpus: Path
    json: Path
    codes: tuple[int, ...]


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A pair and a campaign of a few seconds, made by the commands themselves."""
    home = tmp_path_factory.mktemp("cli")
    made = home / "cache", home / "pair", home / "corpus", home / "report.json"
    cache, pair, corpus, json = made
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("COMPD_CACHE", str(cache))
        patch.setenv("COLUMNS", "200")
        codes = (
            _run(["compress", *MODEL, "--out", str(pair), "--threads", "1"]),
            _run(
                ["fuzz", *MODEL, *CAMPAIGN, "--corpus", str(corpus), "--json", str(json)],
            ),
        )
    torch.set_num_threads(threads)
    return World(cache, pair, corpus, json, codes)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """``run("fuzz", ...)``: run a command in this process; leaves no trace in it."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("COMPD_DEBUG", raising=False)
    threads = torch.get_num_threads()

    def command(*arguments: object) -> Ran:
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            code = _run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    yield command
    torch.set_num_threads(threads)
    monkeypatch.delenv("COMPD_DEBUG", raising=False)


@pytest.fixture
def short_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict on a repair has one search of seven, for tests of what is around it."""

    def first(settings: RepairSettings) -> dict[str, SearchSettings]:
        return dict(list(searches_of(settings).items())[:1])

    monkeypatch.setattr("compd.repairing.verdict.searches_of", first)


@pytest.fixture
def cached(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, with its cache in use: nothing is trained again."""
    monkeypatch.setenv("COMPD_CACHE", str(world.cache))
    return world
