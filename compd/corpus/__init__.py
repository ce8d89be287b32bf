"""Stored deviations: add, read, replay, make smaller, sum up."""

from compd.corpus.campaigns import collect, records_by
from compd.corpus.minimise import Minimisation, MinimiseSettings, minimise
from compd.corpus.records import Record
from compd.corpus.replay import (
    JudgedImage,
    Replayed,
    Verification,
    fingerprint_changes,
    judge_image,
    verify,
)
from compd.corpus.rows import RowsUsed, rows_used
from compd.corpus.stats import CorpusStats, Cut, stats
from compd.corpus.store import Corpus
from compd.corpus.subset import Kind, Subset, select_subset

__all__ = [
    "Corpus",
    "CorpusStats",
    "Cut",
    "JudgedImage",
    "Kind",
    "Minimisation",
    "MinimiseSettings",
    "Record",
    "Replayed",
    "RowsUsed",
    "Subset",
    "Verification",
    "collect",
    "fingerprint_changes",
    "judge_image",
    "minimise",
    "records_by",
    "rows_used",
    "select_subset",
    "stats",
    "verify",
]
