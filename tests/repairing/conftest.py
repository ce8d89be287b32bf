"""A tiny pair, and a corpus of what a search finds on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import tiny_pair, tiny_splits

from compd.compress import Compression, Ptq
from compd.corpus import Corpus, collect
from compd.pair import Pair
from compd.search import Boundary, fuzz

COARSE = Ptq(weight_bits=4)

MakeCorpus = Callable[..., tuple[Pair, Corpus]]


@pytest.fixture
def make_corpus(tmp_path: Path) -> MakeCorpus:
    """``make_corpus(compression)``: a fresh pair and a corpus of it."""

    def make(config: Compression = COARSE, limit: int = 40) -> tuple[Pair, Corpus]:
        pair = tiny_pair(config)
        corpus = Corpus(tmp_path / f"corpus-{type(config).__name__}", create=True)
        campaign = fuzz(
            pair,
            tiny_splits().seeds,
            strategy=Boundary(steps=8),
            goal="severe",
            eps=16,
            limit=limit,
        )
        sum(collect(campaign, corpus))
        assert len(corpus) >= 5
        return pair, corpus

    return make
