"""Entries without models: random pictures with records that describe them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compd.corpus import Record
from compd.images import pixel_hash
from compd.search.findings import Answer
from compd.search.judge import Verdict

Entry = tuple[Record, Tensor, Tensor]
MakeEntry = Callable[..., Entry]
Mount = Callable[..., Path]


def _answer(label: int, name: str, margin: float) -> Answer:
    return Answer(label, name, 0.7, margin, ((name, 0.7), ("other", round(0.7 - margin, 6))))


def _entry(number: int, *, channels: int = 3, size: int = 8, **changes: Any) -> Entry:
    generator = torch.Generator().manual_seed(number)
    shape = (2, channels, size, size)
    image, seed = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    content: dict[str, Any] = {
        "sha256": pixel_hash(image),
        "seed_sha256": pixel_hash(seed),
        "seed_data": "random",
        "seed_row": f"test[{number}]",
        "seed_label": 3,
        "true_label": 3,
        "verdict": Verdict.EFFECTIVE,
        "original": _answer(3, "cat", 0.5),
        "deployed": _answer(5, "dog", 0.4),
        "severity": 0.4,
        "linf": 255,
        "l2": 0.4,
        "psnr": 7.9,
        "strategy": {"name": "diva", "steps": 6},
        "eps": None,
        "norm": "linf",
        "step": number,
        "random_seed": 0,
        "fingerprint": {"torch": "2.13.0", "deployed_sha256": "0" * 64},
    }
    return Record(**content | changes), image, seed


@pytest.fixture(scope="session")
def make_entry() -> MakeEntry:
    """``make_entry(number, channels=, size=, **fields)``: (record, image, seed image)."""
    return _entry


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """``mount(options)``: a new tmpfs with these options; skips where that is not allowed."""
    mounted: list[Path] = []
    program = shutil.which("mount")

    def make(options: str) -> Path:
        place = tmp_path / f"mount-{len(mounted)}"
        place.mkdir()
        if program is None:
            pytest.skip("needs the program mount")
        command = [program, "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)
