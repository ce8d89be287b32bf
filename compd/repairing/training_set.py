"""What a repair trains on from a corpus, and what it must not touch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from compd.corpus import Corpus, Record
from compd.data import Splits
from compd.errors import CompdError, InputError, unknown
from compd.images import pixel_hash
from compd.models.inputs import predict
from compd.pair import Pair
from compd.repairing.settings import RepairSettings
from compd.search import Verdict
from compd.wording import setting

__all__ = ["TrainingSet", "training_set_of"]


@dataclass(frozen=True)
class TrainingSet:
    """Entries of a corpus to train on, and all of them to judge."""

    records: tuple[Record, ...]  # to train on
    images: Tensor  # uint8 (N, C, H, W): their pictures
    pictures: Tensor  # uint8 (M, C, H, W): those of all entries that can be read
    labels: Tensor  # int64 (M,): what the original answers on the seeds of all these
    bound: int  # levels of 255 that most of them were searched within; 255 if there was no bound
    notes: tuple[str, ...]  # what was left out, and why


def training_set_of(
    corpus: Corpus, pair: Pair, splits: Splits, settings: RepairSettings
) -> TrainingSet:
    """Choose the entries to train on: effective and valid ones of this pair.

    Entries whose seed is a selection or held-out image are left out, whatever row they claim: seeds
    are told apart by the hash of their pixels. So are pictures that are damaged. The original is
    asked for the labels of entries that were made with another one.

    Raises:
        CompdError: if nothing is left, or the corpus was made with another pair.
    """
    for name in settings.classes:
        if name not in pair.classes:
            raise unknown("class", name, pair.classes)
    records = list(corpus)
    if not records:
        raise InputError(
            f"expected entries to repair, got an empty corpus: {str(corpus.directory)!r}; fill it "
            "with: compd fuzz"
        )
    if not settings.force:
        _check_pair(records, pair, corpus)
    left_out: Counter[str] = Counter()
    reserved = {
        pixel_hash(image) for split in (splits.selection, splits.heldout) for image in split.images
    }
    entries, chosen = [], []
    for record in records:
        try:
            entry = _read(corpus, record, pair)
        except CompdError as error:
            left_out[error.message] += 1
            continue
        entries.append(entry)
        if record.verdict is Verdict.INVALID:
            left_out["the original changed its own answer"] += 1
        elif record.seed_sha256 in reserved:
            left_out["their seeds are selection or held-out images"] += 1
        elif record.verdict is Verdict.EFFECTIVE and record.severity < settings.min_severity:
            left_out[f"milder than {settings.min_severity:g}"] += 1
        elif settings.classes and pair.classes[entry.label] not in settings.classes:
            left_out[f"of other classes than {', '.join(settings.classes)}"] += 1
        else:
            chosen.append(entry)
    chosen.sort(key=lambda entry: -entry.record.severity)
    if settings.limit is not None and len(chosen) > settings.limit:
        left_out[f"milder than the first {settings.limit}"] += len(chosen) - settings.limit
        chosen = chosen[: settings.limit]
    notes = tuple(f"{count} entries left out: {why}" for why, count in left_out.items())
    if not chosen:
        raise InputError(
            f"expected entries to repair in {str(corpus.directory)!r}, got none that may be used "
            f"of {len(records)} ({'; '.join(notes)})"
        )
    kept = tuple(entry.record for entry in chosen)
    (eps, norm), _ = Counter((record.eps, record.norm) for record in kept).most_common(1)[0]
    bound = 255 if eps is None else eps
    if norm != "linf":
        bound = max(record.linf for record in kept)
        if settings.eps is None:
            notes += (f"bounded by Linf {bound} of 255 from here, the largest of the entries",)
    return TrainingSet(
        records=kept,
        images=torch.stack([entry.image for entry in chosen]),
        pictures=torch.stack([entry.image for entry in entries]),
        labels=torch.tensor([entry.label for entry in entries]),
        bound=bound,
        notes=notes,
    )


@dataclass(frozen=True)
class _Entry:
    record: Record
    image: Tensor  # uint8 (C, H, W)
    label: int  # the original's, for the seed


def _read(corpus: Corpus, record: Record, pair: Pair) -> _Entry:
    """Read an entry and what the pair's original answers on its seed.

    Raises:
        CompdError: if a picture is damaged, or size or label are not of this pair.
    """
    where = f"images in {str(corpus.directory)!r}"
    image, label = corpus.image(record), record.seed_label
    pair.check_input(image[None], where)
    if record.fingerprint.get("original_sha256") != pair.hashes["original"]:
        seed = corpus.seed_image(record)
        pair.check_input(seed[None], where)
        label = int(predict(pair.reference.run, seed[None]).argmax())
    if label >= len(pair.classes):
        raise InputError(f"their labels are not of the pair's {len(pair.classes)} classes")
    return _Entry(record, image, label)


def _check_pair(records: list[Record], pair: Pair, corpus: Corpus) -> None:
    for name in ("original", "deployed"):
        made_with = {str(record.fingerprint.get(f"{name}_sha256")) for record in records}
        others = sorted(made_with - {pair.hashes[name]})
        if others:
            raise InputError(
                f"expected a corpus of this pair ({name} {pair.hashes[name][:12]}), got entries "
                f"made with another one ({name} {', '.join(o[:12] for o in others[:3])}): "
                f"{str(corpus.directory)!r}; name their pair, or take them as further training "
                f"images, labelled by this pair's original, with {setting('force', True)}"
            )
