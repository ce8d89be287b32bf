"""A gate on another pair than the corpus's never says that it is clean."""

from __future__ import annotations

import pytest
import torch
from tiny import CPU, SIZE, TinyNet, tiny_pair, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Ptq, make_shadow
from compd.corpus import Corpus, collect
from compd.gating import Accepted, Baseline, GateResult, Policy, gate
from compd.models import Classifier
from compd.pair import Pair
from compd.search import Boundary, Campaign, SearchSettings
from compd.training import TrainConfig, fit_

COARSE = Ptq(weight_bits=4)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    store = Corpus(tmp_path_factory.mktemp("wrong") / "corpus", create=True)
    settings = SearchSettings(strategy=Boundary(steps=8), eps=8, limit=60)
    assert sum(collect(Campaign(tiny_pair(COARSE), tiny_splits().seeds, settings), store)) > 20
    return store


def trained(net: nn.Module) -> Pair:
    model = Classifier(net, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    splits, config = tiny_splits(), TrainConfig(epochs=4, batch=32, lr=0.05, pad=1)
    fit_(model, splits.train, splits.selection, config, stage="other", device=CPU)
    model.eval()
    return Pair(
        tiny_spec(COARSE), model, make_shadow(COARSE, model, splits, device=CPU), device=CPU
    )


def retrained() -> nn.Module:
    return TinyNet()


def another() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(4),
        nn.Flatten(),
        nn.Linear(4 * (SIZE // 4) ** 2, 3),
    )


def replayed(pair: Pair, corpus: Corpus, *, accepted: bool) -> GateResult:
    lines = (Accepted.of(record, "known") for record in corpus)
    baseline = Baseline(lines) if accepted else Baseline()
    return gate(pair, corpus, baseline, policy=Policy(only_replay=True, max_new=99))


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("make", [retrained, another])
def test_of_another_pair(corpus: Corpus, make, *, accepted: bool) -> None:
    left = 0
    for seed in (1, 2):  # whichever deviations the two have, by chance, in common
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = make()
        result = replayed(trained(net), corpus, accepted=accepted)
        assert result.foreign
        assert result.exit_code == 3
        left += result.entries - result.gone
    if make is retrained:
        assert left  # or this would not be that case


def test_of_its_own_pair(corpus: Corpus) -> None:
    result = replayed(tiny_pair(COARSE), corpus, accepted=True)
    assert not result.foreign
    assert result.exit_code == 0
