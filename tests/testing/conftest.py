"""A project of a user's: a pair and a corpus on disk, and pytest run in a folder of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits

from compd.compress import Prune
from compd.corpus import Corpus, collect
from compd.pair import Pair
from compd.search import fuzz

TESTS = Path(__file__).parent.parent
RunPytest = Callable[..., pytest.RunResult]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``pair`` and ``found``: a pair, and a corpus of eight of its deviations."""
    folder = tmp_path_factory.mktemp("project")
    pair = tiny_pair()
    pair.save(folder / "pair")
    campaign = fuzz(pair, tiny_splits().seeds, limit=8)
    assert sum(collect(campaign, Corpus(folder / "found", create=True))) == 8
    return folder


@pytest.fixture(scope="session")
def rough_pair() -> Pair:
    """A pair that disagrees on some clean rows, but not on all."""
    shadow = tiny_original()
    with torch.no_grad():
        shadow.net.linear.bias[0] += 1.0
    return Pair(tiny_spec(Prune()), tiny_original(), shadow, device=CPU)


@pytest.fixture(scope="session")
def agreement(rough_pair: Pair) -> torch.Tensor:
    """Bool (N,): on which seed rows it agrees."""
    images = tiny_splits().seeds.images
    said = [run(images).argmax(1) for run in (rough_pair.reference.run, rough_pair.deployed.run)]
    agree = said[0] == said[1]
    assert agree.any()
    assert not agree.all()
    return agree


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPytest]:
    """``run(*args)``: pytest in an empty folder, with the plugin, in this process."""
    path = [str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))  # of its processes
    known = {entry.value for entry in entry_points(group="pytest11")}
    plugin = [] if "compd.testing.plugin" in known else ["-p", "compd.testing.plugin"]
    before = list(sys.path)

    def run_pytest(*args: object) -> pytest.RunResult:
        return pytester.runpytest_inprocess(*plugin, "-p", "no:cacheprovider", *map(str, args))

    yield run_pytest
    sys.path[:] = before
