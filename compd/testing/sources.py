"""Strategies that draw images as they are: rows of a data set, entries of a corpus."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Protocol

from hypothesis import strategies as st

from compd.corpus import Corpus, Record
from compd.data import Dataset, Split, Splits
from compd.errors import SettingError
from compd.pair import Pair
from compd.search.seeds import agreeing
from compd.testing.candidates import Candidate

__all__ = ["corpus_images", "seeds"]


def seeds(
    source: Split | Splits | Dataset, *, agree: Pair | None = None, limit: int | None = None
) -> st.SearchStrategy[Candidate]:
    """Clean images of a data set; the first row is the simplest.

    Args:
        source: rows of a data set, or a data set, of which the seed rows are taken.
        agree: only rows on which this pair's models agree; all rows if None. What a pair answers
            differently untouched is natural disagreement, and a test that is not about that should
            leave it out.
        limit: only the first rows; all if None.

    Raises:
        CompdError: if ``limit`` is below 1; when drawn, if there are no such rows.
    """
    if limit is not None and limit < 1:
        raise SettingError("at least one seed", limit=limit)
    return _drawn(_Rows(source, agree, limit))


def corpus_images(path: Path | str) -> st.SearchStrategy[Candidate]:
    """Images that a corpus stores, with their seeds; the one that was found first is the simplest.

    Args:
        path: the corpus's folder.

    Raises:
        CompdError: if there is no corpus; when drawn, if it is empty or a picture is damaged.
    """
    return _drawn(_Entries(path))


class _Images(Protocol):
    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Candidate: ...


@st.composite
def _drawn(draw: st.DrawFn, images: _Images) -> Candidate:
    return images[draw(st.integers(0, len(images) - 1))]


class _Rows:
    """Rows of a split, looked at when they are first asked for."""

    def __init__(
        self, source: Split | Splits | Dataset, agree: Pair | None, limit: int | None
    ) -> None:
        self._source, self._pair, self._limit = source, agree, limit

    def __repr__(self) -> str:  # what Hypothesis prints of the strategy
        return self._split.rows

    @cached_property
    def _split(self) -> Split:
        source = self._source
        if isinstance(source, Dataset):
            source = Splits(source)
        return source.seeds if isinstance(source, Splits) else source

    @cached_property
    def _chosen(self) -> list[int]:
        split = self._split
        if self._pair is None:
            rows = list(range(len(split)))[: self._limit]
        else:
            self._pair.check_input(split.images, "seeds")
            rows = agreeing(self._pair, split, limit=self._limit).rows.tolist()
        if not rows:
            why = "an empty split" if not len(split) else "none that the pair agrees on"
            raise SettingError(f"expected seeds among {split.rows} of {split.data!r}, got {why}")
        return rows

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, i: int) -> Candidate:
        split, row = self._split, self._chosen[i]
        image = split.images[row]
        true_label = int(split.labels[row]) if split.labelled else None
        return Candidate(image, image, split.data, split.row(row), true_label)


class _Entries:
    """Entries of a corpus, read from disk as they are drawn."""

    def __init__(self, path: Path | str) -> None:
        self._corpus = Corpus(path)
        self._records: list[Record] = list(self._corpus)

    def __repr__(self) -> str:
        return repr(str(self._corpus.directory))

    def __len__(self) -> int:
        if not self._records:
            raise SettingError(f"expected a corpus with entries, got an empty one: {self!r}")
        return len(self._records)

    def __getitem__(self, i: int) -> Candidate:
        record = self._records[i]
        return Candidate(
            self._corpus.image(record),
            self._corpus.seed_image(record),
            record.seed_data,
            record.seed_row,
            record.true_label,
            "as stored",
            record.eps,
            record.norm,
        )
