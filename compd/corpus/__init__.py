"""Stored deviations: add, read, replay, sum up."""

from compd.corpus.campaigns import collect
from compd.corpus.records import Record
from compd.corpus.replay import Replayed, fingerprint_changes, verify
from compd.corpus.rows import RowsUsed, rows_used
from compd.corpus.stats import CorpusStats, stats
from compd.corpus.store import Corpus

__all__ = [
    "Corpus",
    "CorpusStats",
    "Record",
    "Replayed",
    "RowsUsed",
    "collect",
    "fingerprint_changes",
    "rows_used",
    "stats",
    "verify",
]
