"""The eighth bit of activations is looked at under shift before training starts from it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq, starts
from compd.pair import Pair
from compd.repairing.result import _look
from compd.repairing.shifted import held_under_shift
from compd.shifts import apply_shift, parse_shift

SELECTION = tiny_splits().selection


def pair_and_start() -> tuple[Pair, Pair]:
    pair = tiny_pair(Ptq())
    images = tiny_splits().calibration.images
    config, shadow = next(starts(pair.spec.compress, pair.shadow, pair.original, images))
    return pair, pair.with_shadow(shadow, config)


def test_a_start_that_holds_is_taken_and_told() -> None:
    pair, start = pair_and_start()
    assert start.spec.compress.activation_bits == 8  # type: ignore[union-attr]
    left, (look,) = held_under_shift(pair, [start], SELECTION)
    assert left == [start]
    assert look.taken
    images = apply_shift(parse_shift("contrast:5"), SELECTION.images[:200])
    answers = pair.reference.run(images).argmax(1)
    at = look.shifts.index("contrast:5")
    assert look.before[at] == int((pair.deployed.run(images).argmax(1) != answers).sum())
    assert look.after[at] == int((start.deployed.run(images).argmax(1) != answers).sum())
    assert "not worse beyond chance" in str(look)
    assert _look(json.loads(json.dumps(asdict(look)))) == look


def test_a_start_that_clips_under_noise_is_not() -> None:
    pair, start = pair_and_start()
    run = start.deployed.run

    def clipping(images: torch.Tensor) -> torch.Tensor:
        """Right on clean images; under noise a class drowns."""
        loud = images.float().flatten(1).std(1) > 60
        return run(images) + loud[:, None] * torch.tensor([50.0, 0.0, 0.0])

    start.deployed.run = clipping  # type: ignore[method-assign]
    left, (look,) = held_under_shift(pair, [start, pair], SELECTION)
    assert left == [pair]
    assert not look.taken
    assert look.only_after > look.only_before
    assert look.p_value < 0.05
    assert "worse, so not started from" in str(look)


def test_a_start_with_as_many_bits_is_not_looked_at(monkeypatch: Any) -> None:
    pair = tiny_pair(Ptq())
    monkeypatch.setattr(pair.reference, "run", None)
    assert held_under_shift(pair, [pair], SELECTION) == ([pair], ())
