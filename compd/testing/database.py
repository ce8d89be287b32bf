"""Hypothesis's example database in a corpus, so that what fails is kept in both forms."""

from __future__ import annotations

from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase

__all__ = ["CorpusDatabase"]


class CorpusDatabase(DirectoryBasedExampleDatabase):
    """Keeps failing examples for Hypothesis, and the smallest of each test as a corpus's entry.

    Pass it as ``settings(database=CorpusDatabase("deviations"))``. Hypothesis's own bytes, by which
    it replays what failed, lie in a hidden folder of the corpus, as a
    :class:`~hypothesis.database.DirectoryBasedExampleDatabase` lays them out; they depend on the
    test and on Hypothesis's version. The entry, which :func:`compd.testing.assert_agrees` adds,
    depends on neither.

    Args:
        corpus: the corpus's folder; made when something fails.
    """

    def __init__(self, corpus: Path | str) -> None:
        self.corpus = Path(corpus)
        super().__init__(self.corpus / ".hypothesis")

    def __repr__(self) -> str:
        return f"CorpusDatabase({str(self.corpus)!r})"
