"""The schedule that an original is trained by when none is given."""

from __future__ import annotations

import torch
from tiny import CPU, SIZE, tiny_splits

from compd.data import Splits, load_data
from compd.pair.original import default_training

CUDA = torch.device("cuda")  # a name only: nothing is moved there


def test_a_gpu_trains_longer_and_hides_more_of_each_image() -> None:
    slow, fast = (default_training(tiny_splits(), device) for device in (CPU, CUDA))
    assert (slow.epochs, slow.cutout) == (45, SIZE // 4)
    assert (fast.epochs, fast.cutout, fast.bfloat16) == (100, SIZE // 2, True)
    assert slow.mirror
    assert fast.mirror


def test_digits_take_seconds_and_are_never_mirrored() -> None:
    splits = Splits(load_data("digits"))
    for device in (CPU, CUDA):
        config = default_training(splits, device)
        assert (config.epochs, config.cutout, config.mirror) == (10, 0, False)
        assert config.bfloat16 == (device == CUDA)
