"""Training strategies: each changes images and loss of a batch, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tiny import CPU, tiny_splits, untrained
from torch import Tensor, nn

from compd.compress import Qat, fine_tuning
from compd.control import Control, Progress
from compd.models import state_hash
from compd.pair.original import train_original
from compd.rng import draws_at
from compd.training import (
    TRAINING_STRATEGIES,
    Adversarial,
    Batch,
    Mixup,
    Smoothing,
    Standard,
    TrainConfig,
    fit_,
    loop,
)

CONFIG = TrainConfig(epochs=2, batch=64, lr=0.05, pad=1)
QUICK = Adversarial(eps=8, stride=4, steps=2)
CONFIGS = [Standard(), QUICK, Mixup(), Smoothing()]
Run = Callable[..., Any]


def fit(config: TrainConfig, **how: Any) -> nn.Module:
    net, splits = untrained(), tiny_splits()
    fit_(net, splits.train, splits.selection, config, stage="training", device=CPU, **how)
    return net


def batch(count: int = 8, *, channels: int = 3, step: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, channels, 16, 16, generator=generator)
    labels = torch.arange(count) % 3
    net = untrained() if channels == 3 else nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    return Batch(images, labels, net.train(), net, draws_at(0, [0], step)[0])


def made(config: Any, given: Batch) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    images, loss = TRAINING_STRATEGIES.of(config).step(config, given)
    return images, loss


def test_the_table_has_the_strategies_of_hu_and_xia() -> None:
    assert [*TRAINING_STRATEGIES] == ["standard", "adversarial", "mixup", "smoothing"]
    assert TRAINING_STRATEGIES.parse("mixup:alpha=0.4") == Mixup(0.4)
    assert (Mixup().alpha, Smoothing().epsilon) == (0.2, 0.1)


def test_order_and_augmentation_are_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[Tensor]] = []
    real = loop.crop_and_mirror

    def watched(*how: Any) -> Tensor:
        seen[-1].append(real(*how))
        return seen[-1][-1]

    monkeypatch.setattr(loop, "crop_and_mirror", watched)
    hashes = set()
    for config in CONFIGS:
        seen.append([])
        hashes.add(state_hash(fit(replace(CONFIG, strategy=config)).state_dict()))
    assert len(seen[0]) > 4
    for other in seen[1:]:
        torch.testing.assert_close(torch.cat(other), torch.cat(seen[0]), rtol=0, atol=0)
    assert len(hashes) == len(CONFIGS)  # and what is learnt of them is not


def test_mixup_mixes_images_and_labels_alike() -> None:
    given = batch()
    images, loss = made(Mixup(alpha=1.0), given)
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))
    one_hot = F.one_hot(given.labels, 3).double()
    found = []
    for image in images.double():  # which two, and how much of the first?
        both = [(i, j) for i in range(8) for j in range(8)]
        for i, j in both:
            first, second = given.images[i].double(), given.images[j].double()
            way = first - second
            share = 1.0 if i == j else float(((image - second) * way).sum() / way.square().sum())
            if torch.allclose(share * first + (1 - share) * second, image, atol=1e-6):
                found.append(share * one_hot[i] + (1 - share) * one_hot[j])
                break
    expected = -(torch.stack(found) * logits.double().log_softmax(1)).sum(1).mean()
    assert float(loss(logits)) == pytest.approx(float(expected), abs=1e-5)
    assert not torch.equal(images, given.images)
    assert not torch.equal(images, made(Mixup(alpha=1.0), batch(step=1))[0])  # drawn anew each step


def test_mixup_draws_beta() -> None:
    shares = []
    two = replace(batch(2), images=torch.tensor([0.0, 1.0]).view(2, 1, 1, 1))
    for step in range(300):
        given = replace(two, draws=draws_at(0, [0], step)[0])
        low = float(made(Mixup(), given)[0].flatten()[0])
        shares.append(min(low, 1 - low))
    # half of them swap the two, and Beta(0.2, 0.2) is below 0.1 or above 0.9 in 62 % of the draws
    near = sum(share < 0.1 for share in shares) / len(shares)
    assert 0.7 < near < 0.95


def test_smoothing_gives_a_tenth_to_all_classes() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    given = replace(batch(1), labels=torch.tensor([0]))
    images, loss = made(Smoothing(), given)
    assert images is given.images
    share = torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    expected = -(share * logits[0].log_softmax(0)).sum()
    assert float(loss(logits)) == pytest.approx(float(expected), abs=1e-6)


def test_adversarial_examples_are_in_the_bound_and_worse() -> None:
    given = batch()
    given.model.eval()
    before = state_hash(given.model.state_dict())
    given.model.train()
    images, _ = made(Adversarial(), given)
    assert float((images - given.images).abs().max()) <= 8 / 255 + 1e-6
    assert 0 <= float(images.min()) <= float(images.max()) <= 1
    assert not images.requires_grad
    assert all(module.training for module in given.model.modules())  # as it was
    given.model.eval()
    assert state_hash(given.model.state_dict()) == before  # BatchNorm saw none of the steps
    assert all(weight.grad is None for weight in given.model.parameters())
    with torch.no_grad():
        clean, moved = (
            F.cross_entropy(given.model(x), given.labels) for x in (given.images, images)
        )
    assert float(moved) > float(clean) + 0.01


def test_the_settings_of_pgd_are_madrys() -> None:
    assert Adversarial().of(3) == (8 / 255, 2 / 255, 7)
    assert Adversarial().of(1) == pytest.approx((0.3, 0.01, 40))
    assert Adversarial(eps=4, steps=2).of(1) == pytest.approx((4 / 255, 0.01, 2))
    given, calls = batch(2, channels=1), list[int]()
    counted = replace(given, forward=lambda x: calls.append(1) or given.model(x))  # type: ignore[func-returns-value]
    images, _ = made(Adversarial(), counted)
    assert len(calls) == 40
    assert 0.25 < float((images - given.images).abs().max()) <= 0.3 + 1e-6


@pytest.mark.parametrize(
    ("config", "wrong", "culprit"),
    [
        (Mixup, {"alpha": 0.0}, "alpha=0.0"),
        (Smoothing, {"epsilon": 1.0}, "epsilon=1.0"),
        (Adversarial, {"eps": 300}, "eps=300"),
        (Adversarial, {"stride": math.nan}, "stride=nan"),
        (Adversarial, {"steps": 0}, "steps=0"),
    ],
)
def test_settings_that_make_no_sense(config: Any, wrong: Any, culprit: str, refuses: Any) -> None:
    with refuses(culprit):
        config(**wrong)


@pytest.mark.parametrize("strategy", [QUICK, Mixup()], ids=str)
def test_what_was_cut_off_ends_as_what_was_not(
    strategy: Any, tmp_path: Path, one_thread: None
) -> None:
    config, file = replace(CONFIG, strategy=strategy), tmp_path / "checkpoint"
    whole = fit(config)

    class Interrupted(Exception):
        pass

    def interrupt(progress: Progress) -> None:
        if progress.done > progress.total // 2 + 1:
            raise Interrupted

    with pytest.raises(Interrupted):
        fit(config, checkpoint=file, control=Control(interrupt))
    kept = file.read_bytes()
    resumed = fit(config, checkpoint=file)
    assert state_hash(resumed.state_dict()) == state_hash(whole.state_dict())
    file.write_bytes(kept)  # is of one strategy only
    standard = fit(CONFIG, checkpoint=file)
    assert state_hash(standard.state_dict()) == state_hash(fit(CONFIG).state_dict())


def test_what_is_drawn_depends_on_the_seed_and_the_step() -> None:
    drawn: list[float] = []

    def step_of(given: Batch) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        drawn.append(given.draws.random())
        return made(Standard(), given)

    fit(replace(CONFIG, seed=3), step_of=step_of)
    assert drawn == [draws_at(3, [0], step)[0].random() for step in range(len(drawn))]


def test_what_is_trained_as_always_keeps_its_place_in_the_cache() -> None:
    assert "strategy" not in TrainConfig().to_json()
    mixed = TrainConfig(strategy=Mixup()).to_json()
    assert mixed["strategy"] == {"name": "mixup", "alpha": 0.2}


def test_quantisation_aware_training_has_a_schedule_that_others_can_have() -> None:
    config = Qat(epochs=3, lr=0.01, batch=32, seed=4)
    schedule = replace(fine_tuning(config, tiny_splits()), strategy=Mixup())
    assert (schedule.epochs, schedule.lr, schedule.batch, schedule.seed) == (3, 0.01, 32, 4)


def test_originals_are_trained_by_name(tmp_path: Path) -> None:
    def trained(name: str, strategy: Any) -> str:
        out = tmp_path / f"{name}.safetensors"
        splits = tiny_splits()
        train_original("lenet1", splits, out, epochs=1, batch=32, strategy=strategy, device="cpu")
        return state_hash(load_file(out))

    named = trained("named", "smoothing:epsilon=0.2")
    assert named == trained("object", Smoothing(0.2)) != trained("standard", "standard")


@pytest.mark.parametrize(
    ("strategy", "culprits"),
    [("mixp", ("mixp", "did you mean 'mixup'")), ("qat", ("--compress qat", "strategy='qat'"))],
)
def test_the_command_says_which_there_are(
    strategy: str, culprits: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from compd.cli import _run

    out = tmp_path / "w.safetensors"
    assert _run(["train", "--model", "lenet5", "--strategy", strategy, "--out", str(out)]) == 2
    said = capsys.readouterr().err
    assert all(culprit in said for culprit in culprits), said
    assert not out.exists()
