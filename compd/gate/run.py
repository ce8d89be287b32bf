"""The gate: replay a corpus, search a little, and compare with what was accepted."""

from __future__ import annotations

import threading
import time

from compd.corpus import Corpus
from compd.data import Splits
from compd.errors import CompdError
from compd.fuzz import Verdict
from compd.fuzz.clock import Clock
from compd.gate.baseline import Accepted, Baseline
from compd.gate.clean import clean_of, failures_of
from compd.gate.deviations import Deviation, Status, status_of
from compd.gate.policy import Policy
from compd.gate.replays import replayed
from compd.gate.result import ORDER, GateResult
from compd.gate.search import Searched, search, settings_for
from compd.pair import Pair
from compd.progress import Progress, Report, silent

__all__ = ["gate"]


def gate(
    pair: Pair,
    corpus: Corpus,
    baseline: Baseline,
    policy: Policy | None = None,
    *,
    splits: Splits | None = None,
    found: Corpus | None = None,
    baseline_name: str = "",
    policy_from: str = "defaults",
    batch: int = 64,
    stop: threading.Event | None = None,
    report: Report = silent,
) -> GateResult:
    """Replay a corpus on a pair, search a little, and compare with the baseline.

    Args:
        pair: what is to pass.
        corpus: what it deviated on once.
        baseline: what of that was accepted.
        policy: what counts.
        splits: images for the search and the clean rows; not needed if the policy asks for neither.
        found: where the search stores what neither corpus nor baseline knows.
        baseline_name: where the baseline lies, for the result.
        policy_from: where the policy comes from, for the result.
        batch: images a call.
        stop: set it to end the search after its current step.
        report: told of progress.

    Raises:
        CompdError: if an entry of the corpus is damaged, or the policy asks for images and there
            are none.
    """
    policy = policy or Policy()
    begun, clock, now = time.perf_counter(), Clock(), pair.fingerprint(batch=batch)
    if splits is None and (not policy.only_replay or policy.asks_for_clean_rows):
        raise CompdError("expected images to search from or to measure on, got none; --only-replay")
    deviations = replayed(pair, corpus, baseline, policy, now, batch, clock, report)
    replay_seconds = time.perf_counter() - begun
    searched = clean = None
    failures: dict[str, str] = {}
    if splits is not None and not policy.only_replay:
        searched = search(
            pair, splits.seeds, settings_for(policy, corpus), found,
            known=[*baseline, *(record.sha256 for record in corpus)], clock=clock, stop=stop,
            report=report,
        )  # fmt: skip
        deviations += _found(searched, corpus, baseline, policy)
    if splits is not None and policy.asks_for_clean_rows:
        report(Progress("measuring clean rows", 0, 1))
        clean = clean_of(pair, splits, batch=batch, clock=clock)
        failures = failures_of(clean, policy)
        report(Progress("measuring clean rows", 1, 1))
    deviations.sort(
        key=lambda one: (ORDER.index(one.status), -one.record.severity, one.record.sha256)
    )
    return GateResult(
        corpus=str(corpus.directory),
        baseline=baseline_name,
        pair=pair.spec.label,
        policy=policy,
        policy_from=policy_from,
        deviations=tuple(deviations),
        unknown=tuple(one for one in baseline.values() if one.sha256 not in corpus),
        failures=failures,
        clean=clean,
        searched=searched,
        found=None if found is None else str(found.directory),
        seconds=time.perf_counter() - begun,
        replay_seconds=replay_seconds,
        model_seconds=clock.seconds,
        fingerprint=now,
    )


def _found(
    searched: Searched, corpus: Corpus, baseline: Baseline, policy: Policy
) -> list[Deviation]:
    """What the search found and the corpus does not have."""
    stands_for: dict[tuple[str, str], Accepted] = {}
    if policy.known_by == "seed":
        for record in corpus:
            accepted = baseline.get(record.sha256)
            if accepted is not None:
                key = record.seed_sha256, accepted.flip
                milder = stands_for.get(key, accepted).severity < accepted.severity
                stands_for[key] = accepted if milder else stands_for.get(key, accepted)
    done = []
    for record in searched.records:
        if record.verdict is not Verdict.EFFECTIVE or record.sha256 in corpus:
            continue
        flip = Accepted.of(record, "-").flip
        accepted = baseline.get(record.sha256) or stands_for.get((record.seed_sha256, flip))
        status, why = status_of(record, accepted, policy, deviates=True, elsewhere={})
        if status is Status.ACCEPTED and accepted is not None and accepted.sha256 != record.sha256:
            why = f"as {accepted.sha256[:12]}: {why}"
        done.append(Deviation(record, status, why, "search", None))
    return done
