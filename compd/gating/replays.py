"""The corpus of a gate, judged again on the pair that is to pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from compd.control import Control
from compd.corpus import Corpus, Record, Replayed, verify
from compd.errors import InputError
from compd.gating.deviations import Deviation, Status, machine_changes, status_of
from compd.gating.known import Known
from compd.gating.policy import Policy
from compd.pair import Pair
from compd.search import StabilityCheck, Verdict

__all__ = ["as_judged", "replayed"]


def replayed(
    pair: Pair,
    corpus: Corpus,
    known: Known,
    policy: Policy,
    now: Mapping[str, Any],
    control: Control,
    retrained: float | None = None,
) -> list[Deviation]:
    """Judge a corpus's deviations again.

    Args:
        pair: what is to pass.
        corpus: all of it is replayed; entries that did not deviate count if they do now.
        known: what was accepted.
        policy: what counts.
        now: the pair's fingerprint on this machine.
        control: told of progress, and asked whether to stop.
        retrained: as of :func:`~compd.gating.deviations.status_of`.

    Raises:
        CompdError: if a picture cannot be used, or the pair has other classes than the corpus.
        Stopped: if it was told to stop.
    """
    for record in corpus:
        _check_classes(record, pair)
    replays = [
        one
        for one in verify(corpus, pair, control=control)
        if Verdict.EFFECTIVE in (one.record.verdict, one.verdict) or one.problem is not None
    ]
    for one in replays:
        if one.problem is not None:
            raise InputError(one.problem)
    judged = [as_judged(one) for one in replays]
    unlike = [machine_changes(one.record, now) for one in replays]
    deviates = [one.verdict is Verdict.EFFECTIVE for one in replays]
    # What is about to count is replayed in other ways, unless the same model was, on this machine.
    doubtful = [
        i
        for i, record in enumerate(judged)
        if deviates[i]
        and status_of(
            replace(record, stability=None),
            known.line(record),
            policy,
            deviates=True,
            elsewhere={},
            retrained=retrained,
        )[0]
        is Status.NEW
        and (record.stability is None or unlike[i] or not _same_models(replays[i].record, now))
    ]
    stability, batch = StabilityCheck(pair, control), pair.batch
    for start in range(0, len(doubtful), batch):
        control.check()
        rows = doubtful[start : start + batch]
        control.report("replaying in other ways", start, len(doubtful))
        found = stability.stabilities(
            torch.stack([corpus.image(judged[i]) for i in rows]),
            torch.tensor([judged[i].seed_label for i in rows]),
        )
        for i, kind in zip(rows, found, strict=True):
            judged[i] = replace(judged[i], stability=kind)
    if doubtful:
        control.report("replaying in other ways", len(doubtful), len(doubtful))
    done = []
    for i, record in enumerate(judged):
        status, why = status_of(
            record,
            known.line(record),
            policy,
            deviates=deviates[i],
            elsewhere=unlike[i],
            invalid=replays[i].verdict is Verdict.INVALID,
            retrained=retrained,
        )
        done.append(Deviation(record, status, why, "corpus", corpus.line(record)))
    return done


def as_judged(one: Replayed) -> Record:
    """The record as it is judged here, if it deviates; else as it was stored."""
    if one.verdict is not Verdict.EFFECTIVE or one.original is None or one.deployed is None:
        return one.record
    return replace(
        one.record,
        original=one.original,
        deployed=one.deployed,
        severity=round(one.severity, 6),
        verdict=one.verdict,
    )


def _check_classes(record: Record, pair: Pair) -> None:
    """Raise unless an entry's label stands for the same class in the pair."""
    label, name = record.original.label, record.original.name
    if label >= len(pair.classes) or pair.classes[label] != name:
        mine = pair.classes[label] if label < len(pair.classes) else "none"
        raise InputError(
            f"expected a corpus of the pair's classes, got label {label} for {name!r} in the "
            f"corpus and for {mine!r} in the pair ({record.sha256[:12]}); it is of another network"
        )


def _same_models(record: Record, now: Mapping[str, Any]) -> bool:
    return all(
        record.fingerprint.get(f"{name}_sha256") == now.get(f"{name}_sha256")
        for name in ("original", "deployed")
    )
