"""Entries of a corpus as JSON (see ``docs/corpus.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from compd.corpus.records import Record

__all__ = ["listing"]


def listing(corpus: str, records: Sequence[Record], limit: int | None = None) -> dict[str, Any]:
    """A list of entries as a JSON object.

    Args:
        corpus: where they lie.
        records: in the order in which they are listed.
        limit: entries to list; None for all.
    """
    return {
        "corpus": corpus,
        "entries": len(records),
        "listed": [_listed(record) for record in records[:limit]],
    }


def _listed(record: Record) -> dict[str, Any]:
    return {
        "sha256": record.sha256,
        "verdict": str(record.verdict),
        "flip": record.flip,
        "severity": record.severity,
        "original": record.original.name,
        "deployed": record.deployed.name,
        "original_margin": record.original.margin,
        "deployed_margin": record.deployed.margin,
        "linf": record.linf,
        "l2": record.l2,
        "seed_data": record.seed_data,
        "seed_row": record.seed_row,
        "seed_sha256": record.seed_sha256,
        "strategy": record.strategy.get("name"),
        "shift": record.strategy.get("shift"),
        "trust": None if record.stability is None else str(record.stability),
        "minimised_from": None if record.minimised is None else record.minimised.source,
    }
