"""``compd corpus verify``: is each entry still what it was?"""

from __future__ import annotations

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["verify_entries"]


@takes_pair()
def verify_entries(
    named: LayeredOptions,
    directory: o.CorpusDir = None,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Replay every entry on a pair; exit 1 if one is not as stored."""
    from compd.cli.display import live
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.corpus import print_verification
    from compd.corpus import Corpus, Verification, verify
    from compd.corpus.opening import open_pair_of

    prepare(threads)
    check_outputs(json=json)
    o.check_batch(batch)
    store = Corpus(find_corpus(directory))
    request = with_memory(named, store.directory).request()
    with live() as control:
        pair = open_pair_of(store, request, control=control)
        pair.batch = batch
        results = verify(store, pair, control=control)
    result = Verification.of(store, results, pair.fingerprint())
    print_verification(result)
    if json is not None:
        write_json(json, result.to_json())
    return 0 if result.holds else 1
