"""compd in a test suite: a pytest plugin, and Hypothesis strategies for property tests.

    assert_agrees    fail unless both models of a pair give an image the same answer
    corpus_images    strategy: the images of a corpus
    seeds            strategy: rows of a data set
    perturbed        strategy: images near the seeds
    shifted          strategy: seeds under corruptions
    Candidate        what the strategies draw
    CorpusDatabase   an example database that keeps what fails in a corpus

They load on first use, so that importing the package costs nothing: the plugin is loaded in every
pytest run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.testing.agrees import assert_agrees
    from compd.testing.candidates import Candidate
    from compd.testing.database import CorpusDatabase
    from compd.testing.perturbing import perturbed
    from compd.testing.shifting import shifted
    from compd.testing.sources import corpus_images, seeds

__all__ = [
    "Candidate",
    "CorpusDatabase",
    "assert_agrees",
    "corpus_images",
    "perturbed",
    "seeds",
    "shifted",
]

_HOMES = {
    "Candidate": "candidates",
    "CorpusDatabase": "database",
    "assert_agrees": "agrees",
    "corpus_images": "sources",
    "perturbed": "perturbing",
    "seeds": "sources",
    "shifted": "shifting",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
