"""The pair that a corpus is judged on: the one that is named, else the one it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from compd.cli.request import PairRequest

if TYPE_CHECKING:
    from compd.corpus import Corpus
    from compd.pair import Pair
    from compd.progress import Report

__all__ = ["open_pair_of"]


def open_pair_of(store: Corpus, request: PairRequest, report: Report) -> Pair:
    """Open the pair that a request names, or else build the one that a corpus was made with.

    A pair's directory without an engine runs on the one that all entries were judged on.

    Raises:
        CompdError: if none is named and the corpus does not say, or it cannot be built again.
    """
    if request.pair is not None and request.engine is None:
        request = replace(request, engine=_engine_of(store))
    named = (request.pair, request.model, request.original)
    if any(name is not None for name in named):
        return request.open(report)[0]
    request.check_deployed()
    file = request.deployed
    pair = _own_pair(store, request.without_files(), report, other=file is not None)
    return pair if file is None else request.with_deployed(pair)


def _engine_of(store: Corpus) -> str | None:
    """The int8 engine that all entries were judged on, if it is one."""
    from compd.compress.int8 import ENGINES

    engines = {str(record.fingerprint.get("engine")) for record in store}
    return next(iter(engines)) if len(engines) == 1 and engines < {*ENGINES} else None


def _own_pair(store: Corpus, request: PairRequest, report: Report, *, other: bool = False) -> Pair:
    """Build the pair that a corpus was made with, and see to it that it is the same one.

    Args:
        store: the corpus.
        request: what else is said of the pair.
        report: told of progress.
        other: whether another deployed model will take its place, so that it need not be the same.
    """
    from compd.errors import CompdError

    if not len(store):
        raise CompdError(
            f"expected entries to judge, got an empty corpus: {str(store.directory)!r}"
        )
    first = next(iter(store))
    made = first.pair.get("compress")
    if isinstance(made, Mapping) and made.get("kind") == "given":
        raise CompdError(
            f"expected the files that {str(store.directory)!r} was made with, got none; name them "
            f"with --original {made.get('original')} --deployed {made.get('deployed')} --data "
            f"{first.seed_data}, and the options that say how they are read"
        )
    if request.data is None and first.seed_data != "digits":
        raise CompdError(
            f"expected to be told of the pair of {str(store.directory)!r}, which was made from "
            f"data={first.seed_data!r}; name it with --pair DIR, or with --data and the --model, "
            "--weights and options that it was made with"
        )
    made_with = {str(record.fingerprint.get("deployed_sha256")) for record in store}
    if len(made_with) != 1:
        raise CompdError(
            f"expected --pair DIR or --model, since {str(store.directory)!r} holds entries of "
            f"{len(made_with)} pairs"
        )
    pair, _ = replace(request, data=request.data or first.seed_data).open_like(first.pair, report)
    if pair.hashes["deployed"] not in made_with and not other:
        raise CompdError(
            f"expected the pair that {str(store.directory)!r} was made with, got another (built "
            "from its settings, with other weights); name it with --pair DIR, or --model, "
            "--weights and the options that it was made with"
        )
    return pair
