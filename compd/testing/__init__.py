"""compd in a test suite: a pytest plugin, and Hypothesis strategies for property tests.

The names below load on first use, so that importing the package costs nothing: the plugin is loaded
in every pytest run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.testing.agrees import assert_agrees
    from compd.testing.candidates import Candidate
    from compd.testing.database import CorpusDatabase
    from compd.testing.perturbed import perturbed
    from compd.testing.shifted import shifted
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
    "perturbed": "perturbed",
    "seeds": "sources",
    "shifted": "shifted",
}

__getattr__ = lazy_names(__name__, _HOMES)
