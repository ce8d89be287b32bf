"""``compd corpus list``: entries, the most severe first."""

from __future__ import annotations

from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.errors import SettingError

__all__ = ["list_entries"]

_SHOWN = 20


def list_entries(
    directory: o.CorpusDir = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="Entries; 0 for all. Default: 20, and all with --json."),
    ] = None,
    json: o.JsonFile = None,
) -> int:
    """List entries, the most severe first."""
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.corpus import print_entries
    from compd.corpus import Corpus
    from compd.corpus.listing import listing

    check_outputs(json=json)
    if limit is not None and limit < 0:
        raise SettingError("at least one entry, or 0 for all", limit=limit)
    store = Corpus(find_corpus(directory))
    where, records = str(store.directory), store.by_severity()
    if json is not None:
        write_json(json, listing(where, records, limit or None))
    print_entries(where, records, _SHOWN if limit is None else limit)
    return 0
