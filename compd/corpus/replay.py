"""Replaying a corpus on a pair: which entries still deviate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.errors import CompdError
from compd.fuzz.clock import Clock
from compd.fuzz.findings import Answer
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
    original: Answer | None = None  # None: the picture cannot be used
    deployed: Answer | None = None

    @property
    def holds(self) -> bool:
        """Whether the entry is what its record says."""
        return self.verdict is self.record.verdict


def verify(
    corpus: Corpus,
    pair: Pair,
    *,
    batch: int = 64,
    clock: Clock | None = None,
    report: Report = silent,
) -> list[Replayed]:
    """Read every picture from disk and judge it on a pair.

    Args:
        corpus: what to replay.
        pair: the models to replay it on.
        batch: images a call.
        clock: adds up the time inside model calls.
        report: told of progress.

    Returns:
        One result an entry, in the corpus's order; damaged pictures are reported, never used.

    Raises:
        CompdError: if ``batch`` is below 1.
    """
    if batch < 1:
        raise CompdError(f"expected at least one image a batch, got batch={batch}")
    judge = Judge(pair, clock)
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
                _check_label(record, pair)
            except CompdError as error:
                damaged[record.sha256] = str(error)
                continue
            images.append(image)
            usable.append(record)
        judged: dict[str, Replayed] = {}
        if usable:
            labels = torch.tensor([record.seed_label for record in usable])
            judgement = judge(torch.stack(images), labels)
            judged = {
                record.sha256: Replayed(
                    record,
                    judgement.verdict(i),
                    float(judgement.severity[i]),
                    original=Answer.of(judgement.original, i, pair.classes),
                    deployed=Answer.of(judgement.deployed, i, pair.classes),
                )
                for i, record in enumerate(usable)
            }
        for record in records[start : start + batch]:
            broken = Replayed(record, None, 0.0, damaged.get(record.sha256))
            results.append(judged.get(record.sha256, broken))
        report(Progress("replaying", len(results), len(records)))
    return results


def _check_label(record: Record, pair: Pair) -> None:
    if record.seed_label >= len(pair.classes):
        raise CompdError(
            f"expected a label of the pair's {len(pair.classes)} classes, got "
            f"label={record.seed_label} for {record.sha256[:12]}; it was made with another pair"
        )


def fingerprint_changes(record: Record, now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What differs between an entry's fingerprint and a pair's on this machine.

    Args:
        record: the entry.
        now: the pair's :meth:`~compd.pair.Pair.fingerprint`.

    Returns:
        key -> (then, now); the batch size is left out, because a replay chooses its own.
    """
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
