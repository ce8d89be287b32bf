"""An entry's pictures, read and fit for a pair."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.errors import InputError
from compd.pair import Pair

__all__ = ["Entry", "check_labels", "read_entry"]


@dataclass(frozen=True)
class Entry:
    """A stored candidate with its pictures."""

    record: Record
    image: Tensor  # uint8 (C, H, W)
    seed: Tensor  # uint8 (C, H, W)


def read_entry(corpus: Corpus, record: Record, pair: Pair) -> Entry:
    """Read an entry's pictures, and see to it that a pair can judge them.

    Raises:
        CompdError: if a picture is damaged, or size or labels are not of this pair.
    """
    image, seed = corpus.image(record), corpus.seed_image(record)
    pair.check_input(image[None], f"images in {corpus.directory}")
    pair.check_input(seed[None], f"seeds in {corpus.directory}")
    check_labels(record, pair)
    return Entry(record, image, seed)


def check_labels(record: Record, pair: Pair) -> None:
    """Raise if a record has labels that a pair does not have."""
    label = max(record.seed_label, record.deployed.label)
    if label >= len(pair.classes):
        raise InputError(
            f"expected labels of the pair's {len(pair.classes)} classes, got label={label} for "
            f"{record.sha256[:12]}; it was made with another pair"
        )
