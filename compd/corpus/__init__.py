"""Stored deviations: add, read, replay, make smaller, sum up."""

from compd.corpus.campaigns import collect, records_by
from compd.corpus.minimise import Effort, Minimisation, minimise
from compd.corpus.records import Record
from compd.corpus.replay import Replayed, fingerprint_changes, verify
from compd.corpus.rows import RowsUsed, rows_used
from compd.corpus.stats import CorpusStats, Cut, stats
from compd.corpus.store import Corpus
from compd.corpus.subset import Kind, Subset, distil

__all__ = [
    "Corpus",
    "CorpusStats",
    "Cut",
    "Effort",
    "Kind",
    "Minimisation",
    "Record",
    "Replayed",
    "RowsUsed",
    "Subset",
    "collect",
    "distil",
    "fingerprint_changes",
    "minimise",
    "records_by",
    "rows_used",
    "stats",
    "verify",
]
