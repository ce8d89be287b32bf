"""compd in a test suite: a pytest plugin, and Hypothesis strategies for property tests.

The names below load on first use, so that importing the package costs nothing: the plugin is loaded
in every pytest run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'compd.testing' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"compd.testing.{_HOMES[name]}"), name)
    globals()[name] = value  # a module of the same name would else hide the function
    return value
