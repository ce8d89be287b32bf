"""Outputs recorded elsewhere: a table as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch

from compd.images import pixel_hash
from compd.runtimes import open_file
from targets.contract import Broken, only_compd_errors, scratch
from targets.examples import image_of
from targets.json_shapes import WORDS as JSON_WORDS
from targets.json_shapes import mutate_lines as mutate

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    *JSON_WORDS,
    b"sha256",
    b"logits",
    b"output",
    b"probs",
    b"device",
    b"classes",
    b"0" * 64,
)


def seeds() -> Iterator[bytes]:
    """With and without a first line that says what the others are."""
    keys = [pixel_hash(image_of(number)) for number in range(2)]
    rows = [json.dumps({"sha256": key, "logits": [0.5, 1, -2.5]}) for key in keys]
    yield "\n".join(rows).encode()
    yield "\n".join([json.dumps({"device": "a board", "output": "probs"}), *rows, ""]).encode()


def entry(data: bytes) -> None:
    """Open the table, and look an image up."""
    path = scratch() / "outputs.jsonl"
    path.write_bytes(data)
    with only_compd_errors():
        runtime = open_file(path, size=8)
        logits = runtime.run(image_of(0)[None])
        if tuple(logits.shape) != (1, runtime.format.classes) or torch.isnan(logits).any():
            raise Broken(f"logits {logits}")
