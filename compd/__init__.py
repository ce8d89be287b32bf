"""compd finds, proves and stores inputs on which a compressed network deviates from its original.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.agreement import evaluate
    from compd.build import build_pair
    from compd.corpus import Corpus, collect, verify
    from compd.data import Splits, load_data
    from compd.errors import CompdError
    from compd.pair import Pair

__version__ = "0.1.0"

__all__ = [
    "CompdError",
    "Corpus",
    "Pair",
    "Splits",
    "build_pair",
    "collect",
    "evaluate",
    "load_data",
    "verify",
]

_HOMES = {
    "CompdError": "errors",
    "Corpus": "corpus",
    "Pair": "pair",
    "Splits": "data",
    "build_pair": "build",
    "collect": "corpus",
    "evaluate": "agreement",
    "load_data": "data",
    "verify": "corpus",
}

__getattr__ = lazy_names(__name__, _HOMES)
