"""Whether the arguments of a call are what they have to be: in a shell they are easily swapped."""

from __future__ import annotations

from pathlib import Path

from compd.corpus.store import Corpus
from compd.errors import check_kind
from compd.pair import Pair
from compd.pair.images import MAKE_PAIR

__all__ = ["check_given"]


def check_given(*, pair: object, **corpora: object) -> None:
    """Raise unless a pair and corpora are such.

    Args:
        pair: the pair.
        corpora: by the names of their arguments.

    Raises:
        SettingError: if one is not.
    """
    check_kind("pair", pair, Pair, advice=MAKE_PAIR)
    for name, corpus in corpora.items():
        folder = repr(str(corpus)) if isinstance(corpus, str | Path) else "…"
        check_kind(name, corpus, Corpus, advice=f"open its folder with compd.Corpus({folder})")
