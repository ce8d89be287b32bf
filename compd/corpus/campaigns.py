"""From a running campaign into a corpus."""

from __future__ import annotations

import time
from collections.abc import Iterator

from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.fuzz.campaign import Campaign
from compd.fuzz.findings import Finding
from compd.fuzz.strategies import settings_of

__all__ = ["collect"]

_EVERY = 1.0  # seconds: a write waits for the disk, and thousands of tiny ones would cost a tenth


def collect(campaign: Campaign, corpus: Corpus) -> Iterator[int]:
    """Run a campaign and store what it finds, about once a second, and at its end however it ends.

    Yields:
        How many entries each write added; they are on the disk by then.
    """
    settings = campaign.settings
    fingerprint = campaign.pair.fingerprint(batch=campaign.batch)
    spec = campaign.pair.spec.to_json()
    pair = {key: spec[key] for key in ("model", "compress", "engine")}
    strategy = settings_of(settings.strategy)
    waiting: list[Finding] = []

    def store() -> int:
        entries = [
            (
                Record.of(
                    finding, data=campaign.data, strategy=strategy, eps=settings.eps,
                    random_seed=settings.random_seed, fingerprint=fingerprint, pair=pair,
                ),
                finding.image,
                finding.seed_image,
            )
            for finding in waiting
        ]  # fmt: skip
        waiting.clear()
        return corpus.add(entries)

    due = time.monotonic() + _EVERY
    try:
        for findings in campaign.steps():
            waiting += findings
            if waiting and time.monotonic() >= due:
                yield store()
                due = time.monotonic() + _EVERY
    finally:
        rest = store()
    yield rest
