"""Replaying a corpus on a pair: which entries still deviate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from compd.control import QUIET, Control
from compd.corpus.entries import Entry, check_labels, read_entry
from compd.corpus.given import check_given
from compd.corpus.records import Record
from compd.corpus.rows import RowsUsed, rows_used
from compd.corpus.store import Corpus
from compd.errors import CompdError
from compd.images import png_round_trip
from compd.logits import answers_of
from compd.pair import Pair
from compd.search.findings import Answer
from compd.search.judge import Judge, Verdict, verdicts_of
from compd.text import shortened

__all__ = [
    "JudgedImage",
    "Replayed",
    "Verification",
    "fingerprint_changes",
    "judge_image",
    "replay",
    "verify",
]


@dataclass(frozen=True)
class Replayed:
    """One entry, judged again."""

    record: Record
    verdict: Verdict | None  # None, as the answers: the picture cannot be used
    severity: float = 0.0
    original: Answer | None = None
    deployed: Answer | None = None
    problem: str | None = None

    def __repr__(self) -> str:
        now = f"damaged, {self.problem}" if self.verdict is None else f"now {self.verdict}"
        return shortened(f"Replayed({'holds' if self.holds else now}: {self.record!r})")

    @property
    def holds(self) -> bool:
        """Whether the entry is what its record says."""
        return self.verdict is self.record.verdict


@dataclass(frozen=True)
class JudgedImage:
    """One picture, judged on a pair."""

    verdict: Verdict
    severity: float  # 0 unless effective
    original: Answer
    deployed: Answer


@dataclass(frozen=True)
class Verification:
    """What a corpus's replay on a pair says."""

    corpus: str
    rows: tuple[RowsUsed, ...]
    unchanged: int
    changed: tuple[Replayed, ...]  # with another verdict than the one stored
    damaged: tuple[Replayed, ...]  # whose pictures cannot be used
    fingerprint_changes: Mapping[str, tuple[str, str]]  # key -> (stored, here)

    @classmethod
    def of(
        cls, corpus: Corpus, results: Sequence[Replayed], now: Mapping[str, Any]
    ) -> Verification:
        """Sum up results on a pair with this fingerprint."""
        damaged = tuple(one for one in results if one.verdict is None)
        changed = tuple(one for one in results if one.verdict is not None and not one.holds)
        return cls(
            str(corpus.directory),
            rows_used(one.record for one in results),
            len(results) - len(damaged) - len(changed),
            changed,
            damaged,
            {
                key: values
                for record in corpus
                for key, values in fingerprint_changes(record, now).items()
            },
        )

    @property
    def entries(self) -> int:
        """All of them."""
        return self.unchanged + len(self.changed) + len(self.damaged)

    @property
    def holds(self) -> bool:
        """Whether each entry is what it was."""
        return not self.changed and not self.damaged

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "corpus": self.corpus,
            "entries": self.entries,
            "rows": [asdict(part) for part in self.rows],
            "unchanged": self.unchanged,
            "changed": [one.record.sha256 for one in self.changed],
            "damaged": [one.record.sha256 for one in self.damaged],
            "fingerprint_changes": {
                key: list(values) for key, values in self.fingerprint_changes.items()
            },
        }


def verify(
    corpus: Corpus,
    pair: Pair,
    *,
    records: Sequence[Record] | None = None,
    control: Control = QUIET,
) -> list[Replayed]:
    """Read pictures from disk and judge them on a pair.

    Args:
        corpus: what to replay.
        pair: the models to replay it on.
        records: which entries, in which order; None for all in the corpus's order.
        control: told of progress, and asked whether to stop.

    Returns:
        One result an entry; damaged pictures are reported, never used.

    Raises:
        Stopped: if it was told to stop: part of a corpus says nothing of the whole.
    """
    check_given(pair=pair, corpus=corpus)
    judge, batch = Judge(pair, control), pair.batch
    wanted = list(corpus) if records is None else records
    results: list[Replayed] = []
    for start in range(0, len(wanted), batch):
        control.check()
        results += replay(corpus, wanted[start : start + batch], judge)
        control.report("replaying", len(results), len(wanted))
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
            results[record.sha256] = Replayed(record, None, problem=error.message)
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


def judge_image(pair: Pair, image: Tensor, record: Record | None = None) -> JudgedImage:
    """Judge one picture on a pair.

    Args:
        pair: the models to judge it on.
        image: uint8 (C, H, W).
        record: what a corpus says of it; its seed's label is what the original has to keep. Without
            one, that is whatever the original says of the picture itself.
    """
    pair.check_input(image[None], "an image")
    if record is not None:
        check_labels(record, pair)
    judge, shown = Judge(pair), png_round_trip(image[None])
    original, deployed = judge.logits(shown)
    labels = answers_of(original).label
    if record is not None:
        labels = torch.tensor([record.seed_label])
    judgement = verdicts_of(shown, original, deployed, labels, heads=pair.heads)
    return JudgedImage(
        judgement.verdict(0),
        round(float(judgement.severity[0]), 6),
        Answer.of(judgement.original, 0, pair.classes),
        Answer.of(judgement.deployed, 0, pair.classes),
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
