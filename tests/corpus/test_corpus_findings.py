"""What a campaign has stored, read from its files as anybody would: every claim holds there."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.corpus import Corpus, collect
from compd.logits import answers_of
from compd.search import Blackbox, Boundary, Compd, Dflare, Diva, Pgd, fuzz

SEARCHES = [
    Boundary(steps=4, climbs=2),
    Compd(steps=4),
    Diva(steps=6),
    Pgd(steps=6),
    Blackbox(queries=60),
    Dflare(queries=60),
]
BOUNDS = [(None, "linf"), (2, "linf"), (12, "linf"), (50, "l2"), (300, "l2")]


def pixels(file):
    with Image.open(file) as image:
        assert (image.format, image.mode) == ("PNG", "RGB")
        array = np.array(image)
    assert array.dtype == np.uint8
    return torch.from_numpy(array).permute(2, 0, 1)[None]


def length(change, norm):
    return float(change.abs().max() if norm == "linf" else change.double().norm())


@pytest.mark.parametrize("strategy", SEARCHES, ids=lambda config: type(config).__name__)
@given(
    bound=st.sampled_from(BOUNDS),
    goal=st.sampled_from(["first", "severe"]),
    random_seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=4)
def test_each_stored_file_deviates_and_is_in_the_bound(
    tmp_path_factory, strategy, bound, goal, random_seed
):
    pair, seeds = tiny_pair(Ptq(weight_bits=4)), tiny_splits().seeds
    folder = tmp_path_factory.mktemp("corpus")
    eps, norm = bound
    campaign = fuzz(
        pair,
        seeds,
        strategy=strategy,
        eps=eps,
        norm=norm,
        goal=goal,
        random_seed=random_seed,
        limit=8,
    )
    stored = sum(collect(campaign, Corpus(folder, create=True)))
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert len(lines) == stored
    assert len({line["source"]["row"] for line in lines}) == campaign.summary().seeds_effective
    for line in lines:
        image, seed = pixels(folder / line["file_name"]), pixels(folder / line["seed_file_name"])
        row = int(line["source"]["row"].split("[")[1].rstrip("]"))
        assert any(torch.equal(seed[0], other) for other in seeds.images), row
        change = image.short() - seed.short()
        assert change.any()
        assert line["linf"] == int(change.abs().max())
        assert eps is None or length(change, norm) <= eps
        label = int(answers_of(pair.reference.run(seed)).label)
        assert label == line["source"]["label"]
        assert int(answers_of(pair.reference.run(image)).label) == label
        own = torch.tensor([label])
        assert int(answers_of(pair.deployed.run(seed), own).label) == label
        assert int(answers_of(pair.deployed.run(image), own).label) != label
