"""``compd corpus list``: entries, the most severe first."""

from __future__ import annotations

from typing import Annotated

import typer

from compd.cli.options import common as o

__all__ = ["list_entries"]


def list_entries(
    directory: o.CorpusDir = None,
    limit: Annotated[int, typer.Option("--limit", help="Entries to print; 0 for all.")] = 20,
) -> int:
    """List entries, the most severe first."""
    from compd.cli.files import find_corpus
    from compd.cli.render.corpus import print_entries
    from compd.corpus import Corpus

    store = Corpus(find_corpus(directory))
    print_entries(store.by_severity(), limit)
    return 0
