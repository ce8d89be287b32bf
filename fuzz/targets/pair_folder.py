"""A pair's folder: ``pair.json``, beside weights that may not be the right ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache

from compd.compress import Distilled, Prune, Ptq, Qat
from compd.models import build_zoo_model
from compd.models.tensors import tensors_to_bytes
from compd.pair import Pair
from compd.pair.spec import ModelSpec, PairSpec
from compd.sizes import Size
from targets.contract import Broken, fresh_folder, only_compd_errors
from targets.json_shapes import WORDS as JSON_WORDS
from targets.json_shapes import mutate_json as mutate

__all__ = ["WORDS", "entry", "mutate", "seeds"]

WORDS = (
    *JSON_WORDS,
    b"format",
    b"model",
    b"width",
    b"channels",
    b"size",
    b"classes",
    b"mean",
    b"std",
    b"compress",
    b"kind",
    b"qat",
    b"ptq",
    b"prune",
    b"distil",
    b"student",
    b"given",
    b"weight_bits",
    b"activation_bits",
    b"amount",
    b"epochs",
    b"lr",
    b"batch",
    b"engine",
    b"x86",
    b"qnnpack",
    b"data_identity",
    b"rows",
    b"hashes",
    b"original",
    b"shadow",
    b"lenet5",
    b"resnet20",
    b"os:abort",
)
_MODEL = ModelSpec("lenet5", 1, 1, Size(16, 16), ("cat", "dog"), (0.5,), (0.25,))


def seeds() -> Iterator[bytes]:
    """A pair of each kind of compression."""
    for config in (Ptq(), Qat(), Prune(), Distilled(student="lenet1", width=1)):
        spec = PairSpec(_MODEL, config, "x86", "digits", "digits-1", {"train": "train[0:9]"})
        hashes = {"original": "0" * 64, "shadow": "1" * 64}
        yield json.dumps({"format": 1, **spec.to_json(), "hashes": hashes}).encode()


@cache
def _weights() -> bytes:
    model = {key: value for key, value in asdict(_MODEL).items() if key != "classes"}
    return tensors_to_bytes(build_zoo_model(model.pop("model"), classes=2, **model))


def entry(data: bytes) -> None:
    """Load the pair; no file says what is in its weights, so none is ever whole."""
    folder = fresh_folder("pair")
    (folder / "pair.json").write_bytes(data)
    for name in ("original", "shadow"):
        (folder / f"{name}.safetensors").write_bytes(_weights())
    with only_compd_errors():
        Pair.load(folder, device="cpu", trust=False)
        raise Broken("a pair whose weights do not have the hashes that it names")
