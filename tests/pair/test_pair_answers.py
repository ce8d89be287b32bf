"""Each clean image is run once on each model, whoever asks."""

import copy
from collections import Counter

import pytest
import torch
from tiny import CPU, tiny_pair, tiny_splits

from compd.compress import Prune, Ptq
from compd.models.inputs import predict
from compd.pair.answers import AnswerCache
from compd.pair.evaluation import SHADOW_ROWS, evaluate
from compd.pair.preflight import check
from compd.runtimes import FloatRuntime, Runtime
from compd.search import Blackbox, Boundary, Diva, SearchSettings, fuzz


class Counting(Runtime):
    """A model that answers with its images' first pixels, and counts them."""

    engine, content_hash = "counting", "0"

    def __init__(self) -> None:
        self.images = 0

    def run(self, images: torch.Tensor) -> torch.Tensor:
        self.images += len(images)
        return images.flatten(1)[:, :3].float()


def test_once_a_model_and_image(make_images):
    images, answers = make_images(20), AnswerCache()
    one, other = Counting(), Counting()
    for rows in (slice(0, 8), slice(4, 20), slice(0, 20), slice(19, 20)):
        assert torch.equal(answers.of(one, images[rows]), one.run(images[rows]))
        one.images -= len(images[rows])
    assert one.images == 20
    twice = torch.cat([images[:3], images[:3]])
    assert torch.equal(answers.of(other, twice), other.run(twice))
    assert other.images == 3 + 6
    # as they lie in memory makes no difference, what they show does
    assert torch.equal(
        answers.of(one, images.contiguous(memory_format=torch.channels_last)), one.run(images)
    )
    assert one.images == 40
    answers.of(one, 255 - images)
    assert one.images == 60


def test_what_does_not_fit_is_computed_again(make_images):
    images, model = make_images(10), Counting()
    answers = AnswerCache(room=3 * 6)
    for _ in range(2):
        assert torch.equal(answers.of(model, images[:6]), images[:6].flatten(1)[:, :3].float())
    assert model.images == 6
    for _ in range(2):
        assert torch.equal(answers.of(model, images), images.flatten(1)[:, :3].float())
    assert model.images == 6 + 4 + 4


def test_a_copy_answers_with_the_first(make_images):
    images, model, copy, answers = make_images(4), Counting(), Counting(), AnswerCache()
    answers.of(model, images)
    answers.share(model, copy)
    said = model.run(images)
    assert torch.equal(answers.of(copy, images), said)
    assert copy.images == 0
    asked = model.images
    answers.of(model, images)  # which has been replaced, and is not kept
    assert model.images == asked + 4


def test_a_look_a_measurement_and_a_search_share_them(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPD_CACHE", str(tmp_path))
    pair, splits = tiny_pair(), tiny_splits()
    seen: dict[str, list[int]] = {}
    for name in ("reference", "deployed", "shadow_runtime"):
        runtime = getattr(pair, name)

        def count(images, run=runtime.run, name=name):
            seen.setdefault(name, []).extend(hash(image.numpy().tobytes()) for image in images)
            return run(images)

        monkeypatch.setattr(runtime, "run", count)
    rows = SearchSettings(limit=20).clean_rows(len(splits.seeds))
    check(pair, splits.seeds.first(rows))
    evaluate(pair, splits.test(rows), shadow=SHADOW_ROWS)
    campaign = fuzz(pair, splits.seeds, strategy=Diva(steps=1), limit=20)
    next(campaign.steps())
    clean = {hash(image.numpy().tobytes()) for image in splits.test().images}
    assert seen.keys() == {"reference", "deployed", "shadow_runtime"}
    for name, images in seen.items():
        asked = [image for image in images if image in clean]
        assert len(asked) == len(set(asked)), name
        assert len(asked) == min(rows, len(splits.seeds) if name != "shadow_runtime" else 64), name


@pytest.mark.parametrize("config", [Ptq(weight_bits=4), Prune(amount=0.5, epochs=1)], ids=str)
def test_a_deployed_model_that_is_the_shadow_answers_for_both(config, monkeypatch):
    pair, images = tiny_pair(config), tiny_splits().seeds.images[:20]
    asked: Counter[bytes] = Counter()
    run = FloatRuntime.run

    def count(self, shown):
        if self is not pair.reference:
            asked.update(image.numpy().tobytes() for image in shown)
        return run(self, shown)

    monkeypatch.setattr(FloatRuntime, "run", count)
    seen = evaluate(pair, images, shadow=None)
    assert torch.equal(seen.shadow, seen.deployed)
    assert asked == Counter(image.numpy().tobytes() for image in images)


def test_another_deployed_model_answers_for_itself():
    kernels = tiny_pair(Ptq())
    assert kernels.shadow_runtime is not kernels.deployed
    pair = tiny_pair(Ptq(weight_bits=4))
    assert pair.shadow_runtime is pair.deployed
    other = tiny_pair(Ptq(weight_bits=5)).shadow
    for module in (other, copy.deepcopy(pair.shadow)):  # equal numbers alone may change apart
        shipped = FloatRuntime(module, CPU)
        apart = pair.with_deployed(shipped)
        assert apart.shadow_runtime is not shipped
        assert apart.shadow_runtime.runs(apart.shadow)


def test_a_bounded_measurement_is_of_the_first_rows(monkeypatch, tmp_path):
    monkeypatch.setenv("COMPD_CACHE", str(tmp_path))
    pair, splits = tiny_pair(), tiny_splits()
    test = splits.test()
    limit = SHADOW_ROWS + 6
    found = evaluate(pair, splits.test(limit), shadow=SHADOW_ROWS)
    original, deployed, shadow = (
        predict(run.run, test.images[:limit]).argmax(1)
        for run in (pair.reference, pair.deployed, pair.shadow_runtime)
    )
    assert found.shadow is not None
    assert (len(found), len(found.shadow)) == (limit, SHADOW_ROWS)
    assert found.split.rows == test.first(limit).rows
    right = (original == test.labels[:limit]).double().mean()
    assert found.accuracy(found.original) == float(right)
    assert found.natural_disagreement == float((original != deployed).double().mean())
    apart = shadow[:SHADOW_ROWS] != deployed[:SHADOW_ROWS]
    assert found.shadow_disagreement == float(apart.double().mean())
    whole = evaluate(pair, test, shadow=None)
    assert whole.shadow is not None
    assert (len(whole), len(whole.shadow)) == (len(test), len(test))
    again = evaluate(pair, splits.test(limit), shadow=SHADOW_ROWS)
    assert again.to_json() == found.to_json()  # and not the other


@pytest.mark.parametrize(
    ("strategy", "limit", "available", "rows"),
    [
        (Boundary(), 200, 5000, 200),  # as many as seeds
        (Boundary(), 1000, 5000, 1000),
        (Boundary(), None, 700, 700),
        (Boundary(), 60, 750, 150),  # a tenth of what the search takes
        (Boundary(), 5, 750, 64),
        (Blackbox(), 60, 750, 200),  # which takes longer
        (Boundary(), 200, 30, 30),  # all that there are
    ],
)
def test_how_many_images_a_look_takes(strategy, limit, available, rows):
    assert SearchSettings(strategy=strategy, limit=limit).clean_rows(available) == rows
