"""Accuracies and natural disagreement, against both models called directly."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_pair, tiny_splits
from torch import Tensor

from compd.compress import Ptq
from compd.control import Control, Progress
from compd.errors import CompdError, Stopped
from compd.pair.evaluation import evaluate
from compd.runtimes import Runtime


def test_the_figures_are_those_of_the_models() -> None:
    pair, split = tiny_pair(Ptq(weight_bits=4)), tiny_splits().test()
    run = pair.deployed.run
    leaning = torch.tensor([0.0, 0.7, 0.0])  # towards one class: so that it differs somewhere
    pair.deployed.run = lambda images: run(images) + leaning  # type: ignore[method-assign]
    seen = evaluate(pair, split, shadow=10)
    with torch.no_grad():
        said = torch.cat([pair.original(x[None].float() / 255) for x in split.images])
    deployed = torch.cat([pair.deployed.run(x[None]) for x in split.images])
    labels = said.argmax(1)
    own = deployed.gather(1, labels[:, None])[:, 0]
    differs = own < deployed.amax(1)
    figures = seen.to_json()
    assert figures["natural_disagreement"] == pytest.approx(float(differs.double().mean()))
    assert figures["natural_disagreement"] > 0
    right = labels.eq(split.labels).double().mean()
    assert figures["original_accuracy"] == pytest.approx(float(right))
    assert figures["shadow_images"] == 10
    assert figures["shadow_deployed_disagreement"] is not None
    assert figures["images"] == len(split)
    truth = split.labels
    only = int((labels.eq(truth) & deployed.argmax(1).ne(truth)).sum())
    flips = figures["flips"]
    assert only > 0
    assert (flips["only_original"], flips["negative"]["count"]) == (only, only)
    assert flips["negative"]["low"] < only / len(split) < flips["negative"]["high"]
    assert flips["reverse"]["count"] == flips["only_deployed"]
    assert sum(one.only_original for one in seen.flips_of(pair.classes)) == only
    p, q = said.double().softmax(1), deployed.double().softmax(1)
    assert seen.divergence == pytest.approx(float((p * (p / q).log()).sum(1).mean()), rel=1e-3)


def test_images_without_labels_have_no_accuracy() -> None:
    pair, images = tiny_pair(), tiny_splits().test().images[:7]
    seen = evaluate(pair, images)
    assert seen.accuracy(seen.original) is None
    assert seen.flips is None
    assert seen.to_json()["flips"] is None
    assert seen.natural_disagreement is not None
    labels = tiny_splits().test().labels[:7]
    labelled = evaluate(pair, images, labels=labels)
    assert labelled.accuracy(labelled.original) is not None


def test_nothing_is_asked_twice_and_progress_is_told() -> None:
    pair, split = tiny_pair(), tiny_splits().seeds
    heard: list[Progress] = []
    first = evaluate(pair, split, shadow=None, control=Control(heard.append))
    assert [one.done for one in heard] == [0, 1, 2, 3]
    calls = []
    run = pair.deployed.run
    pair.deployed.run = lambda images: calls.append(len(images)) or run(images)  # type: ignore
    again = evaluate(pair, split, shadow=None)
    assert calls == []
    assert torch.equal(first.deployed, again.deployed)


def test_images_of_another_shape_are_an_error() -> None:
    with pytest.raises(CompdError, match="expected"):
        evaluate(tiny_pair(), torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


def test_an_evaluation_is_ended_between_two_calls() -> None:
    control = Control()
    pair = tiny_pair()
    calls: list[int] = []

    class Stopping(Runtime):
        engine, content_hash = "counts", "none"

        def run(self, images: Tensor) -> Tensor:
            calls.append(len(images))
            control.stop()
            return pair.deployed.run(images)

    images = torch.randint(0, 256, (600, *tiny_splits().test().images.shape[1:]), dtype=torch.uint8)
    with pytest.raises(Stopped):
        evaluate(pair.with_deployed(Stopping()), images, control=control)
    assert len(calls) == 1


def test_labels_go_with_a_tensor_and_no_images_are_an_error() -> None:
    images = tiny_splits().test().images
    with pytest.raises(CompdError, match="which has its own"):
        evaluate(tiny_pair(), tiny_splits().test(), labels=torch.zeros(len(images)))
    with pytest.raises(CompdError, match="at least one image"):
        evaluate(tiny_pair(), images[:0])
