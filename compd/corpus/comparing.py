"""A corpus, or clean images, on several runtimes of a pair's models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from compd.control import QUIET, Control
from compd.corpus.opening import open_pair_of
from compd.corpus.store import Corpus
from compd.errors import InputError
from compd.pair.comparison import Comparison, compare
from compd.pair.requests import PairRequest
from compd.pair.runtimes import runtimes_of
from compd.runtimes import Overrides
from compd.runtimes.converted import Saturation, saturation_by_layer
from compd.wording import setting

__all__ = ["PairComparison", "compare_pair"]

_SEEDS = 1000  # clean images by default
_LAYERS = 64  # images whose sums are looked at layer by layer


@dataclass(frozen=True)
class PairComparison:
    """What several runtimes say of the same images."""

    comparison: Comparison
    classes: tuple[str, ...]
    saturation: tuple[Saturation, ...]  # by layer; empty if no runtime saturates
    looked_at: int  # images of that

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            **self.comparison.to_json(),
            "saturation": [asdict(layer) for layer in self.saturation],
        }


def compare_pair(
    request: PairRequest,
    names: str,
    *,
    corpus: Path | None = None,
    seeds: int | None = None,
    overrides: Overrides | None = None,
    batch: int | None = None,
    control: Control = QUIET,
) -> PairComparison:
    """Open a pair and run a corpus, or its seeds, through runtimes of its models.

    Args:
        request: names the pair.
        names: of the runtimes, as :func:`compd.pair.runtimes.runtimes_of` takes them.
        corpus: replay this one; None for clean images.
        seeds: how many of these; None for 1,000.
        overrides: what files do not say of their inputs and outputs.
        batch: images a call.
        control: told of progress.
    """
    labels = None
    if corpus is not None:
        store = Corpus(corpus)
        pair = open_pair_of(store, request, control=control)
        records = list(store)
        if not records:
            raise InputError(
                f"expected entries to replay, got an empty corpus: {str(store.directory)!r}; "
                f"leave {setting('corpus')} out to compare on clean images"
            )
        images = torch.stack([store.image(record) for record in records])
        labels = torch.tensor([record.seed_label for record in records])
        titles = [record.sha256[:12] for record in records]
    else:
        pair, splits = request.open(control)
        split = splits.seeds
        count = min(len(split), _SEEDS if seeds is None else seeds)
        images, titles = split.images[:count], [split.row(i) for i in range(count)]
    pair.batch = batch
    opened = runtimes_of(pair, names, overrides)
    result = compare(opened, images, titles, labels=labels, batch=pair.batch, control=control)
    by_layer: tuple[Saturation, ...] = ()
    if "saturating" in opened and pair.deployed.file is not None:
        by_layer = saturation_by_layer(pair.deployed.file, images[:_LAYERS])
    return PairComparison(result, pair.classes, by_layer, min(_LAYERS, len(images)))
