"""``compd corpus stats``: a corpus in numbers."""

from __future__ import annotations

from compd.cli.options import common as o

__all__ = ["show_stats"]


def show_stats(directory: o.CorpusDir = None, json: o.JsonFile = None) -> int:
    """Print a corpus in numbers."""
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.corpus import print_stats
    from compd.corpus import Corpus, stats

    check_outputs(json=json)
    store = Corpus(find_corpus(directory))
    numbers = stats(store)
    where = str(store.directory)
    if json is not None:
        write_json(json, {"corpus": where, **numbers.to_json()})
    print_stats(where, numbers)
    return 0
