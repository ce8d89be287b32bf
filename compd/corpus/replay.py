"""Replaying a corpus on a pair: which entries still deviate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from compd.clock import Clock
from compd.corpus.entries import Entry, read_entry
from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.errors import CompdError, SettingError
from compd.pair import Pair
from compd.progress import Progress, Report, silent
from compd.search.findings import Answer
from compd.search.judge import Judge, Verdict

__all__ = ["Replayed", "fingerprint_changes", "replay", "verify"]


@dataclass(frozen=True)
class Replayed:
    """One entry, judged again."""

    record: Record
    verdict: Verdict | None  # None, as the answers: the picture cannot be used
    severity: float = 0.0
    original: Answer | None = None
    deployed: Answer | None = None
    problem: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the entry is what its record says."""
        return self.verdict is self.record.verdict


def verify(
    corpus: Corpus,
    pair: Pair,
    *,
    records: Sequence[Record] | None = None,
    batch: int = 64,
    clock: Clock | None = None,
    report: Report = silent,
) -> list[Replayed]:
    """Read pictures from disk and judge them on a pair.

    Args:
        corpus: what to replay.
        pair: the models to replay it on.
        records: which entries, in which order; None for all in the corpus's order.
        batch: images a call.
        clock: adds up the time inside model calls.
        report: told of progress.

    Returns:
        One result an entry; damaged pictures are reported, never used.

    Raises:
        CompdError: if ``batch`` is below 1.
    """
    if batch < 1:
        raise SettingError("at least one image a batch", batch=batch)
    judge = Judge(pair, clock)
    wanted = list(corpus) if records is None else records
    results: list[Replayed] = []
    for start in range(0, len(wanted), batch):
        results += replay(corpus, wanted[start : start + batch], judge)
        report(Progress("replaying", len(results), len(wanted)))
    return results


def replay(corpus: Corpus, records: Sequence[Record], judge: Judge) -> list[Replayed]:
    """Read one batch from disk and judge it; a damaged picture is reported, never used."""
    pair = judge.pair
    entries: list[Entry] = []
    results: dict[str, Replayed] = {}
    for record in records:
        try:
            entries.append(read_entry(corpus, record, pair))
        except CompdError as error:
            results[record.sha256] = Replayed(record, None, problem=str(error))
    if entries:
        labels = torch.tensor([entry.record.seed_label for entry in entries])
        judgement = judge.confirm(torch.stack([entry.image for entry in entries]), labels)
        for i, entry in enumerate(entries):
            results[entry.record.sha256] = Replayed(
                entry.record,
                judgement.verdict(i),
                float(judgement.severity[i]),
                Answer.of(judgement.original, i, pair.classes),
                Answer.of(judgement.deployed, i, pair.classes),
            )
    return [results[record.sha256] for record in records]


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
