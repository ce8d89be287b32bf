"""Corpora without models, written as they lie on disk: thousands of entries in a moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.images import encode_png, pixel_hash
from compd.search import Answer, Verdict

PAIR = {
    "model": {"model": "lenet5", "classes": [str(k) for k in range(10)]},
    "compress": {"kind": "prune", "amount": 0.75},
    "engine": "fp32",
}


def picture(number: int, size: int) -> Tensor:
    """An image of its own: a number in its first pixels, and noise."""
    image = torch.randint(
        0, 256, (3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(number)
    )
    image[0, 0, :3] = torch.tensor([number % 256, number // 256 % 256, number // 65536])
    return image


def answer(label: int, name: str, margin: float) -> Answer:
    confidence = round((1 + margin) / 2, 6)
    return Answer(label, name, confidence, margin, ((name, confidence), ("other", 0.001)))


def record_of(number: int, image: Tensor, seed: Tensor, **changes: Any) -> Record:
    """The record of a flip that is the more severe, the smaller its number is."""
    source, target = number % 7, (number + 1 + number // 7 % 3) % 10
    severity = round(0.99 - number % 97 / 100, 6)
    linf = 1 + number % 16
    content: dict[str, Any] = {
        "sha256": pixel_hash(image),
        "seed_sha256": pixel_hash(seed),
        "seed_data": "digits",
        "seed_row": f"test[{number}]",
        "seed_label": source,
        "true_label": (source, target, None, 9)[number % 4],
        "verdict": Verdict.EFFECTIVE,
        "original": answer(source, str(source), severity),
        "deployed": answer(target, str(target), severity),
        "severity": severity,
        "linf": linf,
        "l2": round(linf / 400, 6),
        "psnr": 30.0,
        "strategy": {"name": "boundary", "goal": "severe"},
        "eps": 16,
        "norm": "linf",
        "step": 1,
        "random_seed": 0,
        "fingerprint": {"torch": "2.13.0", "engine": "fp32", "deployed_sha256": "0" * 64},
        "pair": PAIR,
    }
    return Record(**content | changes)


def write_corpus(
    home: Path,
    count: int,
    *,
    size: int = 8,
    pictures: int | None = None,
    change: Callable[[int], dict[str, Any]] = lambda number: {},
) -> Corpus:
    """A corpus of so many flips.

    Args:
        home: a new folder.
        count: entries.
        size: of the pictures, pixels a side.
        pictures: how many have theirs on disk; None for all.
        change: gives fields of a record by its number.
    """
    home.mkdir()
    lines = []
    for number in range(count):
        image, seed = picture(2 * number, size), picture(2 * number + 1, size)
        lines.append(record_of(number, image, seed, **change(number)).to_line())
        if pictures is None or number < pictures:
            for kind, one in (("images", image), ("seeds", seed)):
                sha256 = pixel_hash(one)
                file = home / kind / sha256[:2] / f"{sha256}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(encode_png(one))
    (home / "metadata.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return Corpus(home)
