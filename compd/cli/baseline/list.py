"""``compd baseline list``: what is accepted, and why."""

from __future__ import annotations

from compd.cli.options import common as o

__all__ = ["list_accepted"]


def list_accepted(
    directory: o.CorpusDir = None, file: o.BaselineFile = None, json: o.JsonFile = None
) -> int:
    """List what is accepted, with the reasons."""
    from compd.cli.files import check_outputs, find_corpus, write_json
    from compd.cli.render.baseline import print_baseline
    from compd.corpus import Corpus
    from compd.gating import Baseline, baseline_of

    check_outputs(json=json)
    store = Corpus(find_corpus(directory))
    path = file or baseline_of(store.directory)
    accepted = Baseline.load(path, missing=file is None)
    if json is not None:
        entries = [
            {
                "sha256": one.sha256,
                "flip": one.flip,
                "severity": one.severity,
                "reason": one.reason,
                "in_corpus": one.sha256 in store,
            }
            for one in accepted.values()
        ]
        where = {"baseline": str(path), "corpus": str(store.directory)}
        write_json(json, {**where, "accepted": entries})
    print_baseline(path, accepted, store)
    return 0
