"""Small valid things that seeds are made of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from compd.corpus.records import Minimised, Record
from compd.images import pixel_hash
from compd.search.findings import Answer, Stability
from compd.search.judge import Verdict

__all__ = ["entry_of", "image_of", "record_of"]


def image_of(number: int, *, channels: int = 3, size: int = 8) -> Tensor:
    """A random picture, uint8 (C, H, W), the same each time."""
    generator = torch.Generator().manual_seed(number)
    shape = (channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@cache
def entry_of(number: int) -> tuple[Record, Tensor, Tensor]:
    """A record with its picture and its seed's picture."""
    image, seed = image_of(2 * number), image_of(2 * number + 1)
    made = Minimised(
        "ab" * 32,
        (900, 7),
        (2000, 12),
        (4, 8),
        (0.01, 0.002),
        {"trials": 400, "eps": None, "random_seed": 0},
    )
    record = Record(
        sha256=pixel_hash(image),
        seed_sha256=pixel_hash(seed),
        seed_data="digits",
        seed_row=f"test[{number}]",
        seed_label=3,
        true_label=3,
        verdict=Verdict.EFFECTIVE,
        original=Answer(3, "cat", 0.7, 0.5, (("cat", 0.7), ("dog", 0.2))),
        deployed=Answer(5, "dog", 0.7, 0.4, (("dog", 0.7), ("cat", 0.3))),
        severity=0.4,
        linf=8,
        l2=0.01,
        psnr=38.5,
        strategy={"name": "boundary", "steps": 20, "goal": "first", "flip": None},
        eps=8,
        norm="linf",
        step=2,
        random_seed=0,
        fingerprint={"torch": "2.13.0", "engine": "x86", "deployed_sha256": "0" * 64, "batch": 64},
        pair={
            "model": {
                "model": "lenet5",
                "width": None,
                "channels": 3,
                "size": 8,
                "classes": ["cat", "dog"],
                "mean": [0.5] * 3,
                "std": [0.25] * 3,
            },
            "compress": {"kind": "ptq", "weight_bits": 8, "activation_bits": 7},
            "engine": "x86",
        },
    )
    if number % 2:
        record = replace(record, minimised=made, stability=Stability.STABLE, psnr=None, eps=None)
    return record, image, seed


def record_of(number: int) -> Record:
    """One record."""
    return entry_of(number)[0]
