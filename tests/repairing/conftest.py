"""A tiny pair, and a corpus of what a search finds on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tiny import tiny_pair, tiny_splits

from compd.compress import Compression, Ptq
from compd.corpus import Corpus, collect
from compd.pair import Pair
from compd.search import Boundary, fuzz

COARSE = Ptq(weight_bits=4)

MakeCorpus = Callable[..., tuple[Pair, Corpus]]


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Compression], Path]:
    """``searched(compression)``: what a search of its pair found, once for all tests."""

    @cache
    def search(config: Compression) -> Path:
        folder = tmp_path_factory.mktemp("searched") / f"corpus-{type(config).__name__}"
        campaign = fuzz(
            tiny_pair(config),
            tiny_splits().seeds,
            strategy=Boundary(steps=8),
            goal="severe",
            eps=16,
            limit=40,
        )
        corpus = Corpus(folder, create=True)
        sum(collect(campaign, corpus))
        assert len(corpus) >= 5
        return folder

    return search


@pytest.fixture
def make_corpus(searched: Callable[[Compression], Path], tmp_path: Path) -> MakeCorpus:
    """``make_corpus(compression)``: a fresh pair and a corpus of it."""

    def make(config: Compression = COARSE) -> tuple[Pair, Corpus]:
        found = searched(config)
        return tiny_pair(config), Corpus(shutil.copytree(found, tmp_path / found.name))

    return make
