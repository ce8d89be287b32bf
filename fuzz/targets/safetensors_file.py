"""Weights as safetensors: the header, and the names that have to fit a network."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from compd.models import load_weights_, read_weights
from compd.models.tensors import load_tensors_
from targets.contract import Broken, only_compd_errors, scratch
from targets.json_shapes import WORDS as JSON_WORDS
from targets.json_shapes import mutate_json

__all__ = ["WORDS", "check_weights", "entry", "mutate", "network", "seeds"]

WORDS = (
    *JSON_WORDS,
    b"__metadata__",
    b"dtype",
    b"shape",
    b"data_offsets",
    b"F64",
    b"F32",
    b"F16",
    b"BF16",
    b"F8_E4M3",
    b"F8_E5M2",
    b"I64",
    b"I32",
    b"I16",
    b"I8",
    b"U8",
    b"BOOL",
    b"module.",
    b"_orig_mod.",
    b"model.",
    b"net.",
    b"normalise.mean",
    b"normalise.std",
    b"mean",
    b"std",
    b"0.weight",
    b"0.bias",
    b"1.running_mean",
    b"1.num_batches_tracked",
)


@cache
def network() -> nn.Module:
    """What the names and shapes have to fit."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))


def seeds() -> Iterator[bytes]:
    """The network's own weights: plain, below prefixes, and as a pair keeps them."""
    state = {key: value.clone() for key, value in network().state_dict().items()}
    yield save(state)
    yield save({f"module.model.{key}": value for key, value in state.items()}, {"mean": "0.5"})
    stats = {"normalise.mean": torch.full((1, 1, 1, 1), 0.5), "normalise.std": torch.ones(1)}
    yield save({f"net.{key}": value for key, value in state.items()} | stats)
    yield save({"0.weight": torch.zeros(0, 3), "x": torch.zeros(2, dtype=torch.bfloat16)})


def mutate(data: bytes, most: int, seed: int) -> bytes | None:
    """Change the header as JSON, and put its length right."""
    if len(data) < 8 or seed % 4 == 0:
        return None
    (length,) = struct.unpack("<Q", data[:8])
    header = mutate_json(data[8 : 8 + length], most, seed)
    with contextlib.suppress(ValueError, RecursionError):  # the format takes one way of writing
        header = json.dumps(json.loads(header), separators=(",", ":")).encode()
    return (struct.pack("<Q", len(header)) + header + data[8 + length :])[:most]


def entry(data: bytes) -> None:
    """Read the file, load it into the network, and read it as a pair's own."""
    path = scratch() / "weights.safetensors"
    path.write_bytes(data)
    check_weights(path)
    with only_compd_errors():
        load_tensors_(network(), path)


def check_weights(path: Path) -> None:
    """Read a file and load it into the network; what was loaded is finite."""
    with only_compd_errors():
        weights = read_weights(path)
        net = network()
        load_weights_(net, weights)
        if not all(bool(torch.isfinite(value).all()) for value in net.state_dict().values()):
            raise Broken("weights that are not finite")
