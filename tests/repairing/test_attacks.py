"""FGSM and PGD: on the lattice, in the bound, and the same as a maintained library's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CPU, SIZE, tiny_original, tiny_splits
from torch import Tensor, nn

from compd.repairing.attacks import fgsm, pgd


def by_art(
    attack: str, model: nn.Module, images: Tensor, labels: Tensor, **settings: Any
) -> Tensor:
    """The Adversarial Robustness Toolbox's result on the lattice: float (N, C, H, W), levels."""
    attacks = pytest.importorskip("art.attacks.evasion", reason="needs compd[dev]")
    estimators = pytest.importorskip("art.estimators.classification")
    classifier = estimators.PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (3, SIZE, SIZE), 3, clip_values=(0.0, 1.0)
    )
    moved = getattr(attacks, attack)(classifier, **settings).generate(
        images.numpy().astype(np.float32) / 255, labels.numpy()
    )
    return torch.from_numpy(moved * 255).round()


def test_fgsm_is_that_of_the_adversarial_robustness_toolbox() -> None:
    model, split = tiny_original(), tiny_splits().heldout
    images, labels = split.images[:64], split.labels[:64]
    for eps, ours in fgsm(model, images, labels, (2, 8, 16), device=CPU).items():
        expected = by_art("FastGradientMethod", model, images, labels, eps=eps / 255)
        assert float((ours.float() != expected).double().mean()) < 1e-3  # signs of gradients near 0


def test_pgd_is_that_of_the_adversarial_robustness_toolbox() -> None:
    model, split = tiny_original(), tiny_splits().heldout
    images, labels = split.images[:64], split.labels[:64]
    expected = by_art(
        "ProjectedGradientDescentPyTorch",
        model,
        images,
        labels,
        eps=8 / 255,
        eps_step=2 / 255,
        max_iter=10,
        verbose=False,
    )
    ours = pgd(model, images, labels, 8, steps=10, device=CPU)
    assert float((ours.float() != expected).double().mean()) < 0.01


@given(eps=st.integers(1, 64), steps=st.integers(1, 4))
@settings(max_examples=10)
def test_attacks_stay_in_the_bound(eps: int, steps: int) -> None:
    model, split = tiny_original(), tiny_splits().heldout
    images, labels = split.images[:8], split.labels[:8]
    for moved in (
        fgsm(model, images, labels, (eps,), device=CPU)[eps],
        pgd(model, images, labels, eps, steps=steps, device=CPU, batch=3),
    ):
        assert moved.dtype == torch.uint8
        assert int((moved.int() - images.int()).abs().max()) <= eps


def test_an_attack_lowers_accuracy_more_the_farther_it_may_go() -> None:
    model, split = tiny_original(), tiny_splits().heldout
    moved = fgsm(model, split.images, split.labels, (2, 16), device=CPU)
    moved[255] = pgd(model, split.images, split.labels, 16, steps=10, device=CPU)
    with torch.inference_mode():
        accuracies = [
            float((model(images.float() / 255).argmax(1) == split.labels).double().mean())
            for images in (split.images, *moved.values())
        ]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0] - 0.3
