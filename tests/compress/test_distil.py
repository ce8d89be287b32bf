"""Distillation: the loss, the student, what holds because it is another network."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_splits
from torch import Tensor, nn

from compd.compress import Distilled, Prune, code_of, empty_shadow, make_shadow, tuning_of
from compd.compress.distil import distillation
from compd.models import Classifier, build_zoo_model, model_hash, state_hash
from compd.models.inputs import predict, to_input
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.search import Compd, fuzz
from compd.search.coverage import instrument_pair
from compd.training import TrainConfig

Refuses = Callable[..., Any]

STUDENT = Distilled(student="lenet1", width=4, epochs=3, lr=0.05, batch=32)
EXAMPLE = torch.zeros(1, 3, 16, 16)
TRAINING = TrainConfig(epochs=1, batch=64, lr=0.05, pad=1)


class Somebodys(nn.Module):
    """A student of a user: no normalisation, one convolution."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.linear = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.conv(x).relu().mean((2, 3)))
        return logits


FACTORY = f"{__name__}:Somebodys"


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> str:
    """A factory in a module that can be imported."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    return FACTORY


def test_the_loss_is_hintons() -> None:
    rng = np.random.default_rng(0)
    student, original = rng.normal(0, 3, (2, 5, 4))
    labels = rng.integers(0, 4, 5)

    def probabilities(logits: Any, tau: float) -> Any:
        powers = np.exp(logits / tau)
        return powers / powers.sum(1, keepdims=True)

    p, q = probabilities(original, 4.0), probabilities(student, 4.0)
    apart = (p * np.log(p / q)).sum(1).mean()
    right = -np.log(probabilities(student, 1.0)[np.arange(5), labels]).mean()
    found = distillation(
        torch.from_numpy(student),
        torch.from_numpy(original),
        torch.from_numpy(labels),
        temperature=4.0,
        label_weight=0.1,
    )
    assert float(found) == pytest.approx(16 * apart * 0.9 + 0.1 * right)
    assert (Distilled().temperature, Distilled().label_weight) == (4.0, 0.1)


class Turned(nn.Module):
    """An original whose answers are no image's label."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_original()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x).roll(1, 1)
        return logits


def test_a_student_learns_the_originals_answers() -> None:
    original, splits = Turned(), tiny_splits()
    images = splits.heldout.images
    answers = predict(lambda x: original(to_input(x)), images).argmax(1)
    student = make_shadow(STUDENT, original, splits, device=CPU)
    with torch.no_grad():
        learnt = student(to_input(images)).argmax(1)
    assert float((learnt == answers).float().mean()) > 0.8
    assert float((learnt == splits.heldout.labels).float().mean()) < 0.2
    assert not student.training


def test_the_originals_normalisation_is_in_front() -> None:
    original = build_zoo_model(
        "lenet5", classes=3, size=16, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)
    )
    student = empty_shadow(STUDENT, original, EXAMPLE)
    assert isinstance(student, Classifier)
    assert student.normalise.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert student.normalise.std.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])


def test_a_student_is_at_most_half_as_large_unless_it_is_told(refuses: Refuses) -> None:
    def size(module: nn.Module) -> int:
        return sum(weight.numel() for weight in module.parameters())

    original = build_zoo_model("resnet20", classes=3, size=16)
    student = empty_shadow(Distilled(), original, EXAMPLE)
    assert size(original) / 8 < size(student) <= size(original) / 2
    wide = empty_shadow(Distilled(width=16), original, EXAMPLE)
    assert size(wide) == size(original)
    with refuses("at most half", "student='resnet20'", "width 1"):
        empty_shadow(Distilled(), tiny_original(), EXAMPLE)  # of 800 weights


@pytest.mark.parametrize(
    ("wrong", "culprits"),
    [
        ({"student": "resnet-20"}, ("did you mean 'resnet20'", "pkg.module:factory")),
        ({"student": "a:b", "width": 4}, ("width=4", "zoo model only")),
        ({"width": 0}, ("width=0",)),
        ({"width": 2.5}, ("width=2.5",)),
        ({"temperature": 0.0}, ("temperature=0.0",)),
        ({"label_weight": 1.5}, ("label_weight=1.5",)),
        ({"epochs": 0}, ("epochs=0",)),
    ],
)
def test_settings_that_make_no_sense(
    wrong: dict[str, Any], culprits: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(*culprits):
        Distilled(**wrong)


def test_a_factorys_student(factory: str) -> None:
    config = Distilled(student=factory, epochs=1)
    assert (code_of(config), code_of(STUDENT), code_of(Prune())) == (factory, "", "")
    first, second = (empty_shadow(config, tiny_original(), EXAMPLE) for _ in range(2))
    assert model_hash(first) == model_hash(second)  # initial weights are drawn by the seed
    assert isinstance(first, Classifier)  # behind the original's normalisation
    before = torch.get_rng_state()
    other = empty_shadow(Distilled(student=factory, seed=1), tiny_original(), EXAMPLE)
    assert torch.equal(torch.get_rng_state(), before)
    assert model_hash(other) != model_hash(first)


def test_a_factorys_student_of_other_classes_is_told(
    factory: str, monkeypatch: pytest.MonkeyPatch, refuses: Refuses
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "Somebodys", partial(Somebodys, 5))
    with refuses("logits of shape (2, 3)", "got (2, 5)"):
        empty_shadow(Distilled(student=factory), tiny_original(), EXAMPLE.expand(2, -1, -1, -1))


def test_another_factory_of_the_same_name_is_another_student(
    factory: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hash_of() -> str:
        config = Distilled(student=factory, epochs=1)
        how = {"data": tiny_splits(), "width": 6, "training": TRAINING, "device": "cpu"}
        return build_pair("lenet5", compress=config, **how).hashes["deployed"]

    before = hash_of()
    assert hash_of() == before  # from the cache

    def changed(before: type[Somebodys] = Somebodys) -> nn.Module:
        net = before()
        nn.init.zeros_(net.conv.bias)
        return net

    monkeypatch.setattr(sys.modules[__name__], "Somebodys", changed)
    assert hash_of() != before


@pytest.fixture
def pair() -> Pair:
    """Original and student of one architecture: as many activations, of other shapes."""
    return build_pair(
        "lenet1",
        data=tiny_splits(),
        width=6,
        compress=Distilled(student="lenet1", width=2, epochs=2, lr=0.05, batch=32),
        training=TRAINING,
        device="cpu",
    )


def test_shadow_and_deployed_are_the_student(pair: Pair) -> None:
    images = tiny_splits().seeds.images[:8]
    assert pair.deployed.engine == "fp32"
    assert torch.equal(pair.deployed.run(images), pair.shadow_runtime.run(images))
    assert not torch.equal(pair.deployed.run(images), pair.reference.run(images))
    assert pair.spec.rows["train"] == tiny_splits().train.rows
    assert list(fuzz(pair, tiny_splits().seeds, limit=20, eps=32))


def test_it_is_read_as_it_was_written(pair: Pair, tmp_path: Path, refuses: Refuses) -> None:
    pair.save(tmp_path / "pair")
    assert Pair.load(tmp_path / "pair", trust=False).hashes == pair.hashes
    file = tmp_path / "pair" / "pair.json"
    content = json.loads(file.read_text())
    content["compress"]["width"] = 4000  # whose network is not built to find out
    file.write_text(json.dumps(content))
    with refuses("bytes of weights or more", "shadow.safetensors"):
        Pair.load(tmp_path / "pair", trust=False)


def test_a_student_that_is_code_is_not_run_unasked(
    factory: str, tmp_path: Path, refuses: Refuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Distilled(student=factory, epochs=1)
    how = {"data": tiny_splits(), "width": 6, "training": TRAINING, "device": "cpu"}
    pair = build_pair("lenet5", compress=config, **how)
    pair.save(tmp_path / "pair")
    monkeypatch.setattr("compd.compress.distil.load_factory", lambda name: pytest.fail("it ran"))
    with refuses("trust", factory):
        Pair.load(tmp_path / "pair", trust=False)
    monkeypatch.undo()
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert Pair.load(tmp_path / "pair").hashes == pair.hashes


def test_coverage_of_another_network_is_refused(pair: Pair, refuses: Refuses) -> None:
    with refuses("another network (distil)", "--coverage none"):
        list(fuzz(pair, tiny_splits().seeds, strategy=Compd(coverage="neuron"), limit=2))
    with refuses("another network (distil)"):
        instrument_pair(pair)
    assert instrument_pair(tiny_pair())  # of others it is told


def test_a_repair_may_change_all_of_its_weights() -> None:
    student = empty_shadow(STUDENT, tiny_original(), EXAMPLE)
    tuning = tuning_of(STUDENT, student)
    before = copy.deepcopy(student.state_dict())
    tuning.after_step_(student)
    assert state_hash(before) == state_hash(student.state_dict())
    assert tuning.sparing
