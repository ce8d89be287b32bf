"""compd finds, proves and stores inputs on which a compressed network deviates from its original.

The names below load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compd._version import __version__
from compd.lazy import lazy_names

if TYPE_CHECKING:
    from compd.corpus import Corpus, collect, verify
    from compd.data import Splits, load_data
    from compd.errors import CompdError
    from compd.pair import Pair
    from compd.pair.build import build_pair
    from compd.pair.evaluation import evaluate


__all__ = [
    "CompdError",
    "Corpus",
    "Pair",
    "Splits",
    "__version__",
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
    "build_pair": "pair.build",
    "collect": "corpus",
    "evaluate": "pair.evaluation",
    "load_data": "data",
    "verify": "corpus",
}

__getattr__ = lazy_names(__name__, _HOMES)
