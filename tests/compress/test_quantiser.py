"""Frozen weights are rounded once, and again after any change; nobody can tell by the answers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import tiny_pair, tiny_splits
from torch import Tensor, nn
from torch.ao.quantization.fake_quantize import FakeQuantize

from compd.compress import Ptq
from compd.compress.quantiser import WeightQuantiser
from compd.models import model_hash
from compd.models.inputs import to_input
from compd.search import fuzz

FOUR = Ptq(weight_bits=4)
Change = Callable[[nn.Module], None]


def pixels(count: int = 16) -> Tensor:
    return to_input(tiny_splits().seeds.images[:count])


def plain(module: nn.Module) -> nn.Module:
    """A copy whose weights PyTorch rounds in each call."""
    made = copy.deepcopy(module)
    for part in made.modules():
        if isinstance(part, WeightQuantiser):
            object.__setattr__(part, "__class__", FakeQuantize)
    return made


def quantisers(module: nn.Module) -> list[WeightQuantiser]:
    return [part for part in module.modules() if isinstance(part, WeightQuantiser)]


@pytest.fixture
def rounded(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The quantisers that PyTorch was asked to round with."""
    asked: list[Any] = []
    forward = FakeQuantize.forward

    def count(self: FakeQuantize, x: Tensor) -> Tensor:
        asked.append(self)
        return forward(self, x)  # type: ignore[no-any-return,no-untyped-call]

    monkeypatch.setattr(FakeQuantize, "forward", count)
    return asked


def test_frozen_weights_are_rounded_once(rounded: list[Any]) -> None:
    shadow = tiny_pair(FOUR).shadow
    expected = plain(shadow)(pixels())
    rounded.clear()
    with torch.inference_mode():
        first = shadow(pixels())
    assert len(rounded) == len(quantisers(shadow)) > 1
    x = pixels().requires_grad_()  # what inference mode has made is good for gradients, too
    second = shadow(x)
    second.sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert len(rounded) == len(quantisers(shadow))
    assert torch.equal(first, expected)
    assert torch.equal(second, expected)


def _in_place(shadow: nn.Module) -> None:
    with torch.no_grad():
        next(shadow.parameters()).mul_(0.5)


def _through_data(shadow: nn.Module) -> None:
    next(shadow.parameters()).data.mul_(0.5)


def _loaded(shadow: nn.Module) -> None:
    shadow.load_state_dict(
        {
            key: value * 0.5 if key.endswith(".weight") else value
            for key, value in shadow.state_dict().items()
        }
    )


def _trained(shadow: nn.Module) -> None:
    shadow.requires_grad_(True)
    step = torch.optim.SGD(shadow.parameters(), lr=0.5)
    shadow(pixels()).logsumexp(1).sum().backward()
    step.step()
    shadow.requires_grad_(False)


def _other_range(shadow: nn.Module) -> None:
    quantisers(shadow)[0].scale.mul_(1.5)


def _off(shadow: nn.Module) -> None:
    quantisers(shadow)[0].disable_fake_quant()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "change", [_in_place, _through_data, _loaded, _trained, _other_range, _off]
)
def test_any_change_is_seen(change: Change) -> None:
    shadow = tiny_pair(FOUR).shadow
    before = shadow(pixels())
    change(shadow)
    after = shadow(pixels())
    assert not torch.equal(after, before)
    assert torch.equal(after, plain(shadow)(pixels()))


def test_weights_that_learn_get_pytorchs_gradients() -> None:
    shadow = tiny_pair(FOUR).shadow
    shadow(pixels())
    both = shadow.requires_grad_(True), plain(shadow).requires_grad_(True)
    for module in both:
        module(pixels()).square().sum().backward()
    ours, pytorchs = ([weight.grad for weight in module.parameters()] for module in both)
    assert all(
        torch.equal(mine, other)
        for mine, other in zip(ours, pytorchs, strict=True)
        if mine is not None and other is not None
    )
    assert any(grad is not None and grad.any() for grad in ours)


def test_what_is_kept_is_no_part_of_a_model() -> None:
    shadow = tiny_pair(FOUR).shadow
    keys, name = list(shadow.state_dict()), model_hash(shadow)
    shadow(pixels())
    assert quantisers(shadow)[0]._kept is not None
    assert list(shadow.state_dict()) == keys
    assert model_hash(shadow) == name
    assert quantisers(copy.deepcopy(shadow))[0]._kept is None


@pytest.mark.parametrize("goal", ["first", "severe"])
def test_verdicts_are_those_of_a_fresh_model_on_each_image_alone(goal: str) -> None:
    pair = tiny_pair(FOUR)
    found = list(fuzz(pair, tiny_splits().seeds, limit=12, eps=8, goal=goal))
    fresh = plain(tiny_pair(FOUR).shadow)
    assert found
    for one in found:
        image = one.image[None]
        with torch.inference_mode():
            alone = fresh(to_input(image.expand(16, -1, -1, -1)))[:1]
        assert torch.equal(pair.deployed.run(image), alone)
        assert int(alone.argmax()) == one.deployed.label != one.seed_label
        assert int(pair.reference.run(image).argmax()) == one.seed_label
