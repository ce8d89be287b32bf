"""Replaying a corpus on a pair: which entries still deviate."""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch

from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.errors import CompdError
from compd.fuzz.judge import Judge, Verdict
from compd.pair import Pair
from compd.progress import Progress, Report, silent

__all__ = ["Replayed", "fingerprint_changes", "verify"]


@dataclass(frozen=True)
class Replayed:
    """One entry, judged again."""

    record: Record
    verdict: Verdict | None  # None: the picture cannot be used
    severity: float
    problem: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the entry is what its record says."""
        return self.verdict is self.record.verdict


def verify(
    corpus: Corpus, pair: Pair, *, batch: int = 64, report: Report = silent
) -> list[Replayed]:
    """Read every picture from disk and judge it on a pair.

    Args:
        corpus: what to replay.
        pair: the models to replay it on.
        batch: images a call.
        report: told of progress.

    Returns:
        One result an entry, in the corpus's order; damaged pictures are reported, never used.

    Raises:
        CompdError: if ``batch`` is below 1.
    """
    if batch < 1:
        raise CompdError(f"expected at least one image a batch, got batch={batch}")
    judge = Judge(pair)
    records = list(corpus)
    results: list[Replayed] = []
    for start in range(0, len(records), batch):
        images, usable = [], []
        damaged: dict[str, str] = {}
        for record in records[start : start + batch]:
            try:
                image = corpus.image(record)
                corpus.seed_image(record)  # what `show` and minimisation start from
                pair.check_input(image[None], f"images in {corpus.directory}")
            except CompdError as error:
                damaged[record.sha256] = str(error)
                continue
            images.append(image)
            usable.append(record)
        judged: dict[str, tuple[Verdict, float]] = {}
        if usable:
            labels = torch.tensor([record.seed_label for record in usable])
            judgement = judge(torch.stack(images), labels)
            judged = {
                record.sha256: (judgement.verdict(i), float(judgement.severity[i]))
                for i, record in enumerate(usable)
            }
        for record in records[start : start + batch]:
            verdict, severity = judged.get(record.sha256, (None, 0.0))
            results.append(Replayed(record, verdict, severity, damaged.get(record.sha256)))
        report(Progress("replaying", len(results), len(records)))
    return results


def fingerprint_changes(record: Record, pair: Pair) -> dict[str, tuple[str, str]]:
    """What differs between an entry's fingerprint and this pair on this machine.

    Returns:
        key -> (then, now); the batch size is left out, because a replay chooses its own.
    """
    now = pair.fingerprint(batch=0)
    changes: dict[str, tuple[str, str]] = {}
    for key, value in now.items():
        then = record.fingerprint.get(key)
        if key == "batch" or str(then) == str(value):
            continue
        inside = [_object(text) for text in (then, value)]
        if all(inside):  # how a file is read: only what is read otherwise
            for name in inside[1]:
                before, after = (str(one.get(name)) for one in inside)
                if before != after:
                    changes[f"{key}.{name}"] = before, after
        else:
            changes[key] = str(then), str(value)
    return changes


def _object(text: object) -> dict[str, object]:
    """A JSON object in a fingerprint; empty if it is none."""
    if not isinstance(text, str) or not text.startswith("{"):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
