"""What a repair trains on from a corpus, and what it must not touch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.data import Splits
from compd.errors import CompdError, unknown
from compd.fuzz import Verdict
from compd.images import pixel_hash
from compd.pair import Pair
from compd.repair.settings import Settings

__all__ = ["Material", "material_of"]


@dataclass(frozen=True)
class Material:
    """Entries of a corpus to train on."""

    records: tuple[Record, ...]
    images: Tensor  # uint8 (N, C, H, W)
    bound: int  # levels of 255 that most of them were searched within; 255 if there was no bound
    notes: tuple[str, ...]  # what was left out, and why


def material_of(corpus: Corpus, pair: Pair, splits: Splits, settings: Settings) -> Material:
    """Choose the entries to train on: effective and valid ones of this pair.

    Entries whose seed is a selection or held-out image are left out, whatever row they claim: seeds
    are told apart by the hash of their pixels. So are pictures that are damaged.

    Raises:
        CompdError: if nothing is left, or the corpus was made with another pair.
    """
    for name in settings.classes:
        if name not in pair.classes:
            raise unknown("class", name, pair.classes)
    records = list(corpus)
    if not records:
        raise CompdError(
            f"expected entries to repair, got an empty corpus: {str(corpus.directory)!r}; fill it "
            "with: compd fuzz"
        )
    if not settings.force:
        _check_pair(records, pair, corpus)
    left_out: Counter[str] = Counter()
    reserved = {
        pixel_hash(image) for split in (splits.selection, splits.heldout) for image in split.images
    }
    chosen = []
    for record in records:
        if record.verdict is Verdict.INVALID:
            left_out["the original changed its own answer"] += 1
        elif record.seed_sha256 in reserved:
            left_out["their seeds are selection or held-out images"] += 1
        elif record.verdict is Verdict.EFFECTIVE and record.severity < settings.min_severity:
            left_out[f"milder than {settings.min_severity:g}"] += 1
        elif settings.classes and pair.classes[record.seed_label] not in settings.classes:
            left_out[f"of other classes than {', '.join(settings.classes)}"] += 1
        else:
            chosen.append(record)
    chosen.sort(key=lambda record: -record.severity)
    if settings.limit is not None and len(chosen) > settings.limit:
        left_out[f"milder than the first {settings.limit}"] += len(chosen) - settings.limit
        chosen = chosen[: settings.limit]
    kept, images = [], []
    for record in chosen:
        try:
            image = corpus.image(record)
            pair.check_input(image[None], f"images in {str(corpus.directory)!r}")
        except CompdError as error:
            left_out[str(error)] += 1
            continue
        kept.append(record)
        images.append(image)
    notes = tuple(f"{count} entries left out: {why}" for why, count in left_out.items())
    if not kept:
        raise CompdError(
            f"expected entries to repair in {str(corpus.directory)!r}, got none that may be used "
            f"of {len(records)} ({'; '.join(notes)})"
        )
    (eps, norm), _ = Counter((record.eps, record.norm) for record in kept).most_common(1)[0]
    bound = 255 if eps is None else eps
    if norm != "linf":
        bound = max(record.linf for record in kept)
        if settings.eps is None:
            notes += (f"bounded by Linf {bound} of 255 from here, the largest of the entries",)
    return Material(tuple(kept), torch.stack(images), bound, notes)


def _check_pair(records: list[Record], pair: Pair, corpus: Corpus) -> None:
    for name in ("original", "deployed"):
        made_with = {str(record.fingerprint.get(f"{name}_sha256")) for record in records}
        others = sorted(made_with - {pair.hashes[name]})
        if others:
            raise CompdError(
                f"expected a corpus of this pair ({name} {pair.hashes[name][:12]}), got entries "
                f"made with another one ({name} {', '.join(o[:12] for o in others[:3])}): "
                f"{str(corpus.directory)!r}; name their pair, or take them as further training "
                "images, labelled by this pair's original, with --force"
            )
