"""Images that are not square, from the data through every search to a stored corpus."""

import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_original, tiny_splits
from tiny_files import WIDE, onnx_files, photos, shaped
from torch import Tensor

import compd
from compd.compress import Ptq
from compd.corpus import Corpus, collect
from compd.data import Splits, load_data
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.from_files import deployed_as, pair_of_files
from compd.pair.preflight import check
from compd.pair.spec import ModelSpec
from compd.search import Campaign, SearchSettings
from compd.search.judge import Verdict
from compd.sizes import Size
from compd.training import TrainConfig

HEIGHT, WIDTH = WIDE
SPEC = ModelSpec("lenet5", 1, 1, Size(16, 32), ("cat", "dog"), (0.5,), (0.25,))


@cache
def images() -> Tensor:
    return shaped(tiny_splits().seeds.images, WIDE)


def rough() -> torch.nn.Module:
    """The original with weights of few values."""
    model = tiny_original()
    with torch.no_grad():
        for weight in model.parameters():
            step = float(weight.abs().max()) / 7
            weight.copy_((weight / step).round() * step)
    return copy.deepcopy(model)


@cache
def pair_of_modules() -> Pair:
    model = rough()
    return Pair.from_modules(tiny_original(), model, shadow=model, example=images()[:2])


def test_what_a_pair_says_of_its_size() -> None:
    assert SPEC.to_json()["size"] == [16, 32]
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    square = replace(SPEC, size=Size(16, 16))
    assert square.to_json()["size"] == 16
    assert ModelSpec.from_json(square.to_json()) == square
    for wrong in ([16], [16, 0], [16, 16, 16], "16x32", [True, 2], 1 << 13, None):
        with pytest.raises(ValueError, match="size"):
            ModelSpec.from_json({**SPEC.to_json(), "size": wrong})


@pytest.mark.parametrize(
    "strategy",
    [
        "boundary",
        "pgd",
        "diva",
        "compd:coverage=neuron",
        "blackbox:queries=150",
        "dflare:queries=150",
    ],
)
def test_every_search(strategy: str) -> None:
    pair = pair_of_modules()
    assert pair.spec.model.shape == (3, HEIGHT, WIDTH)
    found = list(compd.fuzz(pair, images(), strategy=strategy, limit=6, eps=40, keep="valid"))
    assert found
    for finding in found:
        assert finding.image.shape == (3, HEIGHT, WIDTH)
        assert finding.linf <= 40
    assert any(finding.verdict is Verdict.EFFECTIVE for finding in found)


def test_images_of_another_shape_are_refused(refuses: Any) -> None:
    with refuses("(N, 3, 12, 24)", "(100, 3, 24, 12)", "--size 12x24"):
        list(compd.fuzz(pair_of_modules(), images().transpose(2, 3).contiguous()))


def test_files(tmp_path: Path, refuses: Any) -> None:
    files = onnx_files(wide=True)
    pair, splits = pair_of_files(*files, data=str(photos(wide=True)))
    assert splits.dataset.size == WIDE
    seen = check(pair, splits.seeds)
    assert seen.faults == ()
    assert seen.original_accuracy is not None
    assert seen.original_accuracy > 0.8
    assert seen.shadow == "converted"
    campaign = Campaign(pair, splits.seeds, SearchSettings(limit=4))
    corpus, small = (Corpus(tmp_path / name, create=True) for name in ("corpus", "small"))
    assert sum(collect(campaign, corpus)) == 4
    assert all(one.holds for one in compd.verify(corpus, pair))
    compd.minimise(corpus, small, pair)
    assert all(one.holds for one in compd.verify(small, pair))
    assert {small.image(record).shape for record in small} == {(3, HEIGHT, WIDTH)}
    with refuses("--size 12x24", "--size 24x12"):
        pair_of_files(*files, data=str(photos(wide=True)), size="24x12")
    with refuses("3 x 12 x 24", "3 x 16 x 16", "same images"):
        pair_of_files(files[0], onnx_files()[1], data=str(photos(wide=True)))
    with refuses("3 x 16 x 16", "whole.int8.onnx"):
        deployed_as(pair, onnx_files()[1])


def test_a_network_of_the_zoo(tmp_path: Path, refuses: Any) -> None:
    splits = Splits(load_data("digits", channels=1, size=(16, 32)))
    training = TrainConfig(epochs=1, batch=128, pad=2, mirror=False)
    pair = build_pair("lenet5", data=splits, width=3, compress=Ptq(), training=training)
    pair.save(tmp_path / "pair")
    again = Pair.load(tmp_path / "pair")
    assert again.spec.model.size == (16, 32)
    assert again.hashes == pair.hashes
    with refuses("16 x 16 or more", "size=12x24"):
        build_pair("lenet5", data=Splits(load_data("digits", size=WIDE)))
