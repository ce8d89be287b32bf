"""Fewer entries: the smallest subset with every kind of deviation, or one of each near-duplicate.

The kind of a deviation is its flip and the layer that its change upset most: the one whose share of
neurons that are active in one model and not in the other rose most above the same share on the
seed. The seed is what it is compared with because a quantised network always deviates somewhat, and
most in its last layers, whatever the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.corpus.entries import Entry, read_entry
from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.errors import CompdError, unknown
from compd.models.inputs import steady, to_input
from compd.pair import Pair
from compd.search.coverage import instrument_pair
from compd.search.judge import Verdict

__all__ = ["KEEP", "Kind", "Subset", "select_subset"]

KEEP = ("kinds", "distinct")


@dataclass(frozen=True)
class Kind:
    """What two deviations have in common that teach the same."""

    original: int  # label
    deployed: int
    layer: int  # number of the activation function, from 0


@dataclass(frozen=True)
class Subset:
    """The chosen entries, and what they stand for."""

    chosen: tuple[Record, ...]  # in the corpus's order
    stands_for: Mapping[str, int]  # hash -> entries, itself included
    kinds: Mapping[Kind, int]  # kind -> entries of it, most frequent first
    layers: int  # activation functions of the pair; 0 where these cannot be told apart
    left_out: Mapping[str, str]  # hash -> why
    note: str = ""  # why kinds are flips alone


def select_subset(
    corpus: Corpus, pair: Pair, *, keep: str = "kinds", control: Control = QUIET
) -> Subset:
    """Choose effective entries that stand for all of them; of several, the most severe.

    With ``keep="kinds"``: one entry of each kind, which is the fewest that keep every kind. With
    ``keep="distinct"``: one of each group of near-duplicates. Two entries are near-duplicates if
    they are of one kind and closer to each other than either is to its own seed (L2 of pixels).

    Args:
        corpus: what to choose from.
        pair: the models whose layers are compared.
        keep: one of :data:`KEEP`.
        control: told of progress.

    Where the two models' neurons do not map one to one, a kind is a flip, and the result says so.

    Raises:
        CompdError: if ``keep`` is unknown.
    """
    if keep not in KEEP:
        raise unknown("keep", keep, KEEP)
    batch = pair.batch
    layers_of = _Layers(pair)
    records = [record for record in corpus if record.verdict is Verdict.EFFECTIVE]
    left_out: dict[str, str] = {}
    members: dict[Kind, list[Record]] = {}
    for start in range(0, len(records), batch):
        entries: list[Entry] = []
        for record in records[start : start + batch]:
            try:
                entries.append(read_entry(corpus, record, pair))
            except CompdError as error:
                left_out[record.sha256] = error.message
        for entry, layer in zip(entries, layers_of(entries), strict=True):
            record = entry.record
            kind = Kind(record.seed_label, record.deployed.label, layer)
            members.setdefault(kind, []).append(record)
        control.report("comparing layers", min(start + batch, len(records)), len(records))
    stands_for: Counter[str] = Counter()
    for group in members.values():
        group.sort(key=_rank)
        if keep == "kinds":
            stands_for[group[0].sha256] = len(group)
        else:
            stands_for.update(_representatives(corpus, group))
    kinds = Counter({kind: len(group) for kind, group in members.items()})
    return Subset(
        chosen=tuple(record for record in records if record.sha256 in stands_for),
        stands_for=dict(stands_for),
        kinds=dict(kinds.most_common()),
        layers=layers_of.count,
        left_out=left_out,
        note=layers_of.why_none,
    )


class _Layers:
    """Finds the layer that each change upset most."""

    def __init__(self, pair: Pair) -> None:
        self._device = pair.device
        self._models: list[Any] = []
        self.count = 0
        self.why_none = ""
        try:
            both = instrument_pair(pair)
            self._models = [steady(model) for model in both]
        except CompdError as error:  # as of converted files, whose quantisers are their activations
            self.why_none = error.message

    def __call__(self, entries: Sequence[Entry]) -> list[int]:
        if not entries or not self._models:
            return [0] * len(entries)
        changed = self._shares(torch.stack([entry.image for entry in entries]))
        before = self._shares(torch.stack([entry.seed for entry in entries]))
        self.count = changed.shape[1]
        layers: list[int] = (changed - before).argmax(1).tolist()
        return layers

    def _shares(self, images: Tensor) -> Tensor:
        """(N, layers): share of each layer's neurons that only one of both models activates."""
        with torch.inference_mode():
            x = to_input(images, self._device)
            before = [model(x)[1] for model in self._models]
            differs = [((o > 0) != (s > 0)).flatten(1) for o, s in zip(*before, strict=True)]
            return torch.stack([mask.double().mean(1) for mask in differs], 1).cpu()


def _rank(record: Record) -> tuple[float, float, str]:
    """The most severe first; of these, the smallest change."""
    return -record.severity, record.l2, record.sha256


def _representatives(corpus: Corpus, group: Sequence[Record]) -> dict[str, int]:
    """Of each group of near-duplicates its first; and how many it stands for."""
    kept: list[tuple[Record, Tensor]] = []
    stands_for: dict[str, int] = {}
    for record in group:
        image = corpus.image(record).float() / 255
        for other, picture in kept:
            l2 = float((image - picture).square().mean().sqrt())
            if l2 < min(record.l2, other.l2):
                stands_for[other.sha256] += 1
                break
        else:
            kept.append((record, image))
            stands_for[record.sha256] = 1
    return stands_for
