"""From a running campaign into a corpus."""

from __future__ import annotations

from collections.abc import Iterator

from compd.corpus.records import Record
from compd.corpus.store import Corpus
from compd.fuzz.campaign import Campaign
from compd.fuzz.strategies import settings_of

__all__ = ["collect"]


def collect(campaign: Campaign, corpus: Corpus) -> Iterator[int]:
    """Run a campaign and store what it finds, step by step.

    Yields:
        How many entries each step added; they are on the disk by then.
    """
    settings = campaign.settings
    fingerprint = campaign.pair.fingerprint(batch=campaign.batch)
    spec = campaign.pair.spec.to_json()
    pair = {key: spec[key] for key in ("model", "compress", "engine")}
    strategy = settings_of(settings.strategy)
    for findings in campaign.steps():
        yield corpus.add(
            (
                Record.of(
                    finding,
                    data=campaign.data,
                    strategy=strategy,
                    eps=settings.eps,
                    random_seed=settings.random_seed,
                    fingerprint=fingerprint,
                    pair=pair,
                ),
                finding.image,
                finding.seed_image,
            )
            for finding in findings
        )
