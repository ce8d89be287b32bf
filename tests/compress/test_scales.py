"""Learnt scales: what is settled is what was learnt, and what ships follows."""

from __future__ import annotations

import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Qat
from compd.compress.int8 import activation_quantisers, convert, freeze_ranges_
from compd.compress.scales import learn_scales_, settle_scales_
from compd.models.inputs import to_input


def test_settled_scales_are_the_learnt_ones() -> None:
    shadow = tiny_pair(Qat()).shadow
    keys = list(shadow.state_dict())
    before = [quantiser.scale.clone() for quantiser in activation_quantisers(shadow)]
    zero_points = [quantiser.zero_point.clone() for quantiser in activation_quantisers(shadow)]
    x = to_input(tiny_splits().heldout.images)
    with torch.no_grad():
        untouched = shadow(x)
    learn_scales_(shadow)
    with torch.no_grad():
        assert torch.allclose(shadow(x), untouched, atol=1e-5)  # nothing is learnt yet
        for i, quantiser in enumerate(activation_quantisers(shadow)):
            quantiser.change.fill_(-0.001 * (i % 3))
        learnt = shadow(x)
    settle_scales_(shadow)
    freeze_ranges_(shadow)
    assert list(shadow.state_dict()) == keys
    for i, (quantiser, was, zero_point) in enumerate(
        zip(activation_quantisers(shadow), before, zero_points, strict=True)
    ):
        expected = was * torch.tensor(-0.1 * (i % 3)).exp()
        assert torch.allclose(quantiser.scale, expected, rtol=1e-5)
        assert torch.equal(quantiser.zero_point, zero_point)
    with torch.no_grad():
        settled = shadow(x)
        assert torch.allclose(settled, learnt, atol=1e-4)
        assert not torch.allclose(settled, untouched, atol=1e-4)
        assert float((convert(shadow, "x86")(x) - settled).abs().max()) < 0.3


def test_the_loss_moves_the_scales() -> None:
    shadow = tiny_pair(Qat()).shadow
    learn_scales_(shadow)
    shadow(to_input(tiny_splits().train.images[:16])).square().sum().backward()
    moved = [quantiser.change.grad for quantiser in activation_quantisers(shadow)]
    assert len(moved) >= 4
    assert all(gradient is not None and gradient.abs() > 0 for gradient in moved)
