"""Pages that commands write beside their results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compd.corpus import Corpus
    from compd.report.page import Place

__all__ = ["accepted_in", "place_of"]


def place_of(corpus: Corpus | Path, options: str = "") -> Place:
    """A corpus with what its own baseline accepts.

    Args:
        corpus: the corpus, or its folder.
        options: words that name its pair on a command line.
    """
    from compd.corpus import Corpus
    from compd.report.page import Place

    store = Corpus(corpus) if isinstance(corpus, Path) else corpus
    return Place(store, options, accepted_in(store))


def accepted_in(corpus: Corpus, baseline: Path | None = None) -> dict[str, str] | None:
    """What a baseline accepts, hash -> reason; None if there is none.

    Args:
        corpus: whose baseline it is.
        baseline: its file; None for the corpus's own.
    """
    from compd.gating import Baseline, baseline_of

    path = baseline or baseline_of(corpus.directory)
    if not path.exists():
        return None
    return {one.sha256: one.reason for one in Baseline.load(path).values()}
