"""The gate: replay a corpus, search a little, and compare with what was accepted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from compd.control import QUIET, Control
from compd.corpus import Corpus
from compd.corpus.given import check_given
from compd.data import Splits
from compd.errors import InputError, SettingError, Stopped
from compd.gating.baseline import Baseline
from compd.gating.clean import clean_of
from compd.gating.compared import Compared, against_record, comparable, margin_of
from compd.gating.deviations import Deviation, Status, status_of
from compd.gating.known import Known
from compd.gating.limits import failures_of
from compd.gating.policy import Policy
from compd.gating.record import SearchRecord
from compd.gating.replays import replayed
from compd.gating.result import ORDER, GateResult
from compd.gating.search import Searched, search, settings_for
from compd.gating.softened import softened
from compd.pair import Pair
from compd.pair.preflight import the_same_twice
from compd.search import Verdict
from compd.wording import setting

__all__ = ["gate"]


def gate(
    pair: Pair,
    corpus: Corpus,
    baseline: Baseline,
    *,
    policy: Policy | None = None,
    splits: Splits | None = None,
    found: Corpus | None = None,
    record: SearchRecord | None = None,
    baseline_name: str = "",
    policy_from: str = "defaults",
    options: str = "",
    control: Control = QUIET,
) -> GateResult:
    """Replay a corpus on a pair, search a little, and compare with the baseline.

    Args:
        pair: what is to pass.
        corpus: what it deviated on once.
        baseline: what of that was accepted.
        policy: what counts.
        splits: images for the search and the clean rows; not needed if the policy asks for neither.
        found: where what the search finds is stored, if it is new or flaky.
        record: what the search found on the accepted pair, if that is known: then a pair that is no
            worse passes, whatever pixels it deviates in.
        baseline_name: where the baseline lies, for the result.
        policy_from: where the policy comes from, for the result.
        options: how a command line names the pair, for the commands that outputs suggest.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if an entry of the corpus is damaged, or the policy asks for images and there
            are none.
        Stopped: if it was told to stop during the replays; later on, the result says so.
    """
    check_given(pair=pair, corpus=corpus)
    policy = policy or Policy()
    begun, now = time.perf_counter(), pair.fingerprint(batch=pair.batch)
    control = control.timed
    if splits is None and policy.asks_for_images:
        raise SettingError(
            "expected images to search from or to measure on, got none; pass them, or "
            f"{setting('only_replay', True)}"
        )
    if baseline and not len(corpus):
        raise InputError(
            f"expected entries in {str(corpus.directory)!r}, got none, and a baseline of "
            f"{len(baseline)} lines; has its metadata.jsonl been emptied?"
        )
    if found is not None and found.directory.resolve() == corpus.directory.resolve():
        raise InputError(
            f"expected another folder for what is found than the corpus, got "
            f"{str(found.directory)!r} for both"
        )
    known = Known(baseline, corpus, by=policy.known_by)
    retrained = None
    if record is not None and now["deployed_sha256"] != record.deployed:
        retrained = margin_of(record, policy)
    if same := the_same_twice(pair):
        raise InputError(same)
    deviations = replayed(pair, corpus, known, policy, now, control, retrained)
    replay_seconds = time.perf_counter() - begun
    searched = clean = comparison = None
    failures: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    if splits is not None and not policy.only_replay:
        seeds, settings = splits.seeds, settings_for(policy, corpus)
        like, notes = comparable(record, seeds, policy)
        if like is not None:
            seeds, settings = seeds.chosen(like.rows), like.settings
        searched = search(pair, seeds, settings, control=control)
        if like is not None:
            part = like.record.first(len(searched.seeds))
            comparison = against_record(part, searched.seeds, policy, missing=like.missing)
            if comparison.risen or len(comparison.worse) > policy.max_new:
                failures["search-record"] = comparison.describe()
        deviations += _found(searched, corpus, known, policy, found, comparison)

    if splits is not None and policy.asks_for_clean_rows and not control.stopped:
        control.report("measuring clean rows", 0, 1)
        with suppress(Stopped):  # then the rest of the result stands without
            clean = clean_of(pair, splits, policy, control=control)
            failures |= failures_of(clean, policy)
        control.report("measuring clean rows", 1, 1)
    deviations.sort(
        key=lambda one: (ORDER.index(one.status), -one.record.severity, one.record.sha256)
    )
    return GateResult(
        corpus=str(corpus.directory),
        baseline=baseline_name,
        pair=pair.spec.label,
        policy=policy,
        policy_from=policy_from,
        options=options,
        interrupted=control.stopped,
        entries=len(corpus),
        other_original=_others(corpus, now),
        deviations=tuple(deviations),
        unknown=tuple(one for one in baseline.values() if one.sha256 not in corpus),
        failures=failures,
        clean=clean,
        searched=searched,
        compared=comparison,
        notes=notes,
        warnings=softened(corpus, policy),
        found=str(found.directory) if found is not None and len(found) else None,
        seconds=time.perf_counter() - begun,
        replay_seconds=replay_seconds,
        model_seconds=control.clock.seconds,
        fingerprint=now,
    )


def _found(
    searched: Searched,
    corpus: Corpus,
    known: Known,
    policy: Policy,
    store: Corpus | None,
    comparison: Compared | None,
) -> list[Deviation]:
    """What the search found and the corpus does not have; what needs somebody is stored."""
    done, kept = [], []
    for record, finding in searched.found:
        if record.verdict is not Verdict.EFFECTIVE or record.sha256 in corpus:
            continue
        status, why = status_of(
            record,
            known.line(record),
            policy,
            deviates=True,
            elsewhere={},
            comparison=comparison,
        )
        done.append(Deviation(record, status, why, "search", None))
        if status in (Status.NEW, Status.FLAKY):
            kept.append((record, finding.image, finding.seed_image))
    if store is not None and kept:
        store.add(kept)
    return done


def _others(corpus: Corpus, now: Mapping[str, Any]) -> int:
    """How many entries were stored with another original."""
    mine = now.get("original_sha256")
    return sum(record.fingerprint.get("original_sha256") not in (None, mine) for record in corpus)
