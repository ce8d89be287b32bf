"""From a shrunk image to the record that is stored of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from compd.corpus.entries import Entry
from compd.corpus.records import Minimised, Record
from compd.corpus.trials import Pixels
from compd.images import distances, pixel_hash
from compd.pair import Pair
from compd.search.findings import Answer
from compd.search.judge import Judge

__all__ = ["records_of"]


def records_of(
    entries: Sequence[tuple[Entry, Pixels]],
    pair: Pair,
    *,
    settings: Mapping[str, float | None],
) -> list[tuple[Record, Tensor, Tensor] | None]:
    """Judge smaller images after the PNG round trip, as every stored image is.

    Args:
        entries: each with the smaller image that came of it.
        pair: the models.
        settings: what the images were made with.

    Returns:
        For each what :meth:`Corpus.add` takes; None if the models give other answers than before.
    """
    batch = pair.batch
    judge, fingerprint, made_of = Judge(pair), pair.fingerprint(batch=batch), pair.spec.made_of
    found: list[tuple[Record, Tensor, Tensor] | None] = []
    for start in range(0, len(entries), batch):
        chunk = entries[start : start + batch]
        judgement = judge.confirm(
            torch.stack([torch.from_numpy(pixels) for _, pixels in chunk]),
            torch.tensor([entry.record.seed_label for entry, _ in chunk]),
        )
        far = distances(judgement.images, torch.stack([entry.seed for entry, _ in chunk]))
        for i, (entry, pixels) in enumerate(chunk):
            old = entry.record
            if int(judgement.deployed.label[i]) != old.deployed.label or not judgement.effective[i]:
                found.append(None)
                continue
            counts = zip(_counts(entry.image.numpy(), entry), _counts(pixels, entry), strict=True)
            changed_pixels, changed_values = counts
            linf, l2 = int(far.linf[i]), round(float(far.l2[i]), 6)
            severity = round(float(judgement.severity[i]), 6)
            new = replace(
                old,
                sha256=pixel_hash(judgement.images[i]),
                original=Answer.of(judgement.original, i, pair.classes),
                deployed=Answer.of(judgement.deployed, i, pair.classes),
                severity=severity,
                linf=linf,
                l2=l2,
                psnr=round(float(far.psnr[i]), 3),
                eps=_eps(old, settings.get("eps")),
                fingerprint=fingerprint,
                pair=made_of,
                minimised=Minimised(
                    old.sha256,
                    changed_pixels,
                    changed_values,
                    (old.linf, linf),
                    (old.l2, l2),
                    settings,
                    (old.severity, severity),
                ),
            )
            found.append((new, judgement.images[i], entry.seed))
    return found


def _eps(old: Record, eps: float | None) -> int | None:
    """The bound that the smaller image keeps: the campaign's, or a wider one that was asked for."""
    if old.eps is None or old.norm != "linf":
        return old.eps
    return max(old.eps, int(eps or 0))


def _counts(image: Pixels, entry: Entry) -> tuple[int, int]:
    """Changed pixels and changed values."""
    changed = image != entry.seed.numpy()
    return int(np.count_nonzero(changed.any(0))), int(np.count_nonzero(changed))
