"""From a running campaign into a corpus."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from compd.control import Outcome
from compd.corpus.given import check_given
from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.search.campaign import Campaign
from compd.search.findings import Finding
from compd.search.stability import StabilityCheck
from compd.search.strategies import STRATEGIES

__all__ = ["collect", "records_by"]

_EVERY = 0.3  # seconds: a write waits for the disk, but not the search for it
_CONFIRM_EVERY = 3.0  # seconds: replays of few findings cost as much as those of a batch


def records_by(campaign: Campaign) -> Callable[[Finding], Record]:
    """What turns a campaign's findings into records of a corpus, with their circumstances."""
    settings = campaign.settings
    fingerprint = campaign.pair.fingerprint(batch=campaign.batch)
    pair = campaign.pair.spec.made_of
    strategy = {**STRATEGIES.settings_of(settings.strategy), **settings.to_json()}

    def record(finding: Finding) -> Record:
        return Record.of(
            finding,
            data=campaign.data,
            strategy=strategy if finding.shift is None else {**strategy, "shift": finding.shift},
            eps=settings.eps,
            norm=settings.norm,
            random_seed=settings.random_seed,
            fingerprint=fingerprint,
            pair=pair,
        )

    return record


def collect(
    campaign: Campaign, corpus: Corpus, *, stability: StabilityCheck | None = None
) -> Iterator[int]:
    """Run a campaign and store what it finds, about once a second, and at its end however it ends.

    Args:
        campaign: not run yet.
        corpus: to store it in.
        stability: replays what was found before it is stored; None stores it as it is.

    Yields:
        How many entries each write added; they are on the disk by then.
    """
    check_given(pair=campaign.pair, corpus=corpus)  # before the search, not at its end
    record = records_by(campaign)

    def store(findings: list[Finding]) -> int:
        return corpus.add((record(one), one.image, one.seed_image) for one in findings)

    waiting: list[Finding] = []
    writing: Future[int] | None = None
    every = _EVERY if stability is None else _CONFIRM_EVERY
    due = time.monotonic() + every
    with ThreadPoolExecutor(1) as disk:  # writes wait for the disk, not for the processor
        try:
            for findings in campaign.steps():
                waiting += findings
                if waiting and time.monotonic() >= due and (writing is None or writing.done()):
                    if writing is not None:
                        yield writing.result()
                    if stability is not None:
                        waiting = stability(waiting)
                    writing, waiting = disk.submit(store, waiting), []
                    due = time.monotonic() + every
        finally:
            if stability is not None:
                waiting = stability(waiting)
            last = disk.submit(store, waiting)
        if writing is not None:
            yield writing.result()
        yield last.result()
    if campaign.outcome is not Outcome.INTERRUPTED:
        corpus.make()  # a search that found nothing has found that
