"""Accepting deviations into a baseline, and dropping from it what no longer deviates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compd.control import QUIET, Control
from compd.corpus import Corpus, Record, verify
from compd.data import Splits
from compd.errors import InputError
from compd.files.storage import locked_folder
from compd.gating.baseline import Accepted, Baseline
from compd.gating.deviations import Status, machine_changes, status_of
from compd.gating.policy import Policy
from compd.gating.record import SearchRecord, path_of, record_of
from compd.gating.replays import as_judged
from compd.gating.search import search, settings_for
from compd.pair import Pair
from compd.search import Verdict

__all__ = ["Acceptance", "Pruning", "accept", "prune", "record_search"]


@dataclass(frozen=True)
class Acceptance:
    """What was accepted."""

    records: tuple[Record, ...]  # with new lines in the baseline
    passed_over: int  # that do not deviate
    lines: int  # of the baseline, now


@dataclass(frozen=True)
class Pruning:
    """What was dropped."""

    removed: tuple[Accepted, ...]
    kept: int  # that do not deviate here, but were stored where they may
    lines: int  # of the baseline, now


def accept(
    corpus: Corpus,
    path: Path,
    reason: str,
    *,
    entries: Sequence[str] | None = None,
    source: Corpus | None = None,
    open_pair: Callable[[], Pair] | None = None,
    control: Control = QUIET,
) -> Acceptance:
    """Accept entries as they were stored, or as they are on a pair.

    Args:
        corpus: whose baseline it is; entries of ``source`` are added to it.
        path: the baseline's file.
        reason: why they may pass.
        entries: starts of their hashes; None for all effective ones that are not accepted yet.
        source: the corpus that they are of; None for ``corpus``.
        open_pair: gives a pair to judge them on first; called when all entries are known.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if an entry is unknown or does not deviate, or the classes differ.
    """
    source = corpus if source is None else source
    _check_alike(corpus, source)
    chosen = list(source) if entries is None else [source.find(entry) for entry in entries]
    judged = _as_on(open_pair, source, chosen, control)
    gone = [one for one in judged if one.verdict is not Verdict.EFFECTIVE]
    if gone and entries is not None:
        where = "" if open_pair is None else " on this pair"
        raise InputError(
            f"expected deviations, got {gone[0].sha256[:12]}, which is {gone[0].verdict}{where}"
        )
    with locked_folder(path.parent, wait=True, what="accepts"):
        known = Baseline.load(path)
        records = [
            one
            for one in judged
            if one.verdict is Verdict.EFFECTIVE
            and not (entries is None and _is_accepted(one, known.get(one.sha256)))
        ]
        if source is not corpus:
            corpus.add((one, source.image(one), source.seed_image(one)) for one in records)
        accepted = known.accepting(Accepted.of(record, reason) for record in records)
        accepted.save(path)
    return Acceptance(tuple(records), len(gone), len(accepted))


def record_search(
    pair: Pair,
    corpus: Corpus,
    path: Path,
    splits: Splits,
    policy: Policy | None = None,
    *,
    control: Control = QUIET,
) -> SearchRecord:
    """Search as the gate will, and write down what that finds on the pair that is accepted.

    Args:
        pair: that is accepted.
        corpus: whose baseline it is; says how to search where the policy does not.
        path: the baseline's file; the record lies beside it.
        splits: images to search from.
        policy: the gate's. Where it names no goal, the most severe deviation of each seed is
            sought, which tells two pairs apart best.
        control: told of progress, and asked whether to stop.

    Raises:
        Stopped: if it was told to stop; nothing is written then.
    """
    policy = policy or Policy()
    settings = settings_for(policy.over({"goal": policy.goal or "severe"}), corpus)
    done = search(pair, splits.seeds, replace(settings, seconds=None), control=control)
    control.check()
    record = record_of(done.how, pair.hashes, done.seeds)
    with locked_folder(path.parent, wait=True, what="accepts"):
        record.save(path_of(path))
    return record


def prune(
    corpus: Corpus,
    path: Path,
    open_pair: Callable[[], Pair],
    *,
    everywhere: bool = False,
    control: Control = QUIET,
) -> Pruning:
    """Remove what no longer deviates, and what the corpus has no entry for; adds nothing.

    Args:
        corpus: whose baseline it is.
        path: the baseline's file.
        open_pair: gives the pair to judge on; called if there is something to judge.
        everywhere: whether to remove also what was stored on a machine that may answer otherwise.
        control: told of progress.
    """
    accepted = Baseline.load(path)
    gone = [one for one in accepted if one not in corpus]
    kept = 0
    if len(gone) < len(accepted):
        pair = open_pair()
        now = pair.fingerprint(batch=pair.batch)
        known = [record for record in corpus if record.sha256 in accepted]
        for one in verify(corpus, pair, records=known, control=control):
            if one.verdict in (None, Verdict.EFFECTIVE):
                continue
            if machine_changes(one.record, now) and not everywhere:
                kept += 1
                continue
            gone.append(one.record.sha256)
    with locked_folder(path.parent, wait=True, what="accepts"):
        left = Baseline.load(path).without(gone)  # as it is now: somebody may have accepted more
        if gone:
            left.save(path)
    return Pruning(tuple(accepted[sha256] for sha256 in sorted(gone)), kept, len(left))


def _as_on(
    open_pair: Callable[[], Pair] | None,
    source: Corpus,
    records: list[Record],
    control: Control,
) -> list[Record]:
    """The records with their verdicts on a pair; as they were stored without one."""
    if open_pair is None:
        return records
    judged = []
    for one in verify(source, open_pair(), records=records, control=control):
        if one.verdict is None:
            raise InputError(one.problem or "")
        judged.append(replace(as_judged(one), verdict=one.verdict))
    return judged


def _is_accepted(record: Record, line: Accepted | None) -> bool:
    status, _ = status_of(record, line, Policy(), deviates=True, elsewhere={})
    return line is not None and status is not Status.NEW


def _check_alike(corpus: Corpus, source: Corpus) -> None:
    """Raise if two corpora are of networks with other classes."""
    classes = {record.original.label: record.original.name for record in corpus}
    for record in source:
        name = classes.setdefault(record.original.label, record.original.name)
        if name != record.original.name:
            raise InputError(
                f"expected corpora of the same classes, got label {record.original.label} for "
                f"{name!r} in {str(corpus.directory)!r} and for {record.original.name!r} in "
                f"{str(source.directory)!r}"
            )
