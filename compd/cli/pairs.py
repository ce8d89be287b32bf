"""The pair that a corpus is judged on: the one that is named, else the one it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compd.cli.options.pair import PairRequest
from compd.system import prepare

if TYPE_CHECKING:
    from compd.corpus import Corpus
    from compd.data import Splits
    from compd.pair import Pair
    from compd.progress import Report

__all__ = ["open_pair_of", "open_with_data", "use_threads_of"]


def open_pair_of(
    store: Corpus, request: PairRequest, report: Report, *, changed: bool = False
) -> Pair:
    """Open the pair that a request names, or else build the one that a corpus was made with.

    Args:
        store: the corpus.
        request: what is said of the pair.
        report: told of progress.
        changed: as of :func:`open_with_data`; a pair's directory keeps its own engine then, and
            else runs on the one that all entries were judged on.

    Raises:
        CompdError: if none is named and the corpus does not say, or it cannot be built again.
    """
    if request.pair is not None and request.data is None and request.original is None:
        own = request if changed else _with_engine_of(store, request)
        return own.load()  # its data need not be there
    return open_with_data(store, request, report, changed=changed)[0]


def open_with_data(
    store: Corpus, request: PairRequest, report: Report, *, changed: bool = False
) -> tuple[Pair, Splits]:
    """The same, with the data.

    Args:
        store: the corpus.
        request: what is said of the pair.
        report: told of progress.
        changed: whether the pair that the corpus names may come out otherwise than it was: that is
            what a gate is there to notice.
    """
    if not changed:
        request = _with_engine_of(store, request)
    if request.names_pair:
        return request.open(report)
    request.check_deployed()
    file = request.deployed
    pair, splits = _own_pair(
        store, request.without_files(), report, other=changed or file is not None
    )
    return (pair if file is None else request.with_deployed(pair)), splits


def use_threads_of(store: Corpus, threads: int | None) -> None:
    """Compute with as many threads as all entries were found with, unless told otherwise.

    Sums are added in another order with another number of threads. If this machine has fewer cores,
    it is all that it has.
    """
    from compd.system.machine import cpu_count

    found = {record.fingerprint.get("threads") for record in store}
    number = found.pop() if len(found) == 1 else None
    same = isinstance(number, int) and 1 <= number <= cpu_count()
    prepare(threads or (number if same else None))


def _with_engine_of(store: Corpus, request: PairRequest) -> PairRequest:
    """A pair's directory without an engine runs on the one that all entries were judged on."""
    if request.pair is None or request.engine is not None:
        return request
    return replace(request, engine=_engine_of(store))


def _engine_of(store: Corpus) -> str | None:
    """The int8 engine that all entries were judged on, if it is one."""
    from compd.compress.int8 import ENGINES

    engines = {str(record.fingerprint.get("engine")) for record in store}
    return next(iter(engines)) if len(engines) == 1 and engines < {*ENGINES} else None


def _own_pair(
    store: Corpus, request: PairRequest, report: Report, *, other: bool = False
) -> tuple[Pair, Splits]:
    """Build the pair that a corpus was made with, and see to it that it is the same one.

    Args:
        store: the corpus.
        request: what else is said of the pair.
        report: told of progress.
        other: whether it need not be the same: another deployed model will take its place, or it
            is judged for what it has become.
    """
    from compd.errors import SettingError

    if not len(store):
        raise SettingError(
            f"expected entries to judge, got an empty corpus: {str(store.directory)!r}"
        )
    first = next(iter(store))
    made = first.pair.get("compress")
    if isinstance(made, Mapping) and made.get("kind") == "given":
        raise SettingError(
            f"expected the files that {str(store.directory)!r} was made with, got none; name them "
            f"with --original {made.get('original')} --deployed {made.get('deployed')} --data "
            f"{first.seed_data}, and the options that say how they are read"
        )
    if request.data is None and first.seed_data != "digits":
        raise SettingError(
            f"expected to be told of the pair of {str(store.directory)!r}, which was made from "
            f"data={first.seed_data!r}; name it with --pair DIR, or with --data and the --model, "
            "--weights and options that it was made with"
        )
    made_with = {str(record.fingerprint.get("deployed_sha256")) for record in store}
    recipes = {json.dumps(record.pair, sort_keys=True) for record in store}
    if len(recipes if other else made_with) != 1:
        raise SettingError(
            f"expected --pair DIR or --model, since {str(store.directory)!r} holds entries of "
            f"{len(recipes if other else made_with)} pairs"
        )
    pair, splits = _built_like(
        first.pair, replace(request, data=request.data or first.seed_data), report
    )
    if pair.hashes["deployed"] not in made_with and not other:
        raise SettingError(
            f"expected the pair that {str(store.directory)!r} was made with, got another (built "
            "from its settings, with other weights); name it with --pair DIR, or --model, "
            "--weights and the options that it was made with"
        )
    return pair, splits


def _built_like(
    made_of: Mapping[str, Any], request: PairRequest, report: Report
) -> tuple[Pair, Splits]:
    """Build the pair that a corpus names, on the data and the engine of a request."""
    from compd.compress import config_from_json
    from compd.compress.int8 import ENGINES
    from compd.errors import SettingError
    from compd.pair.build import build_pair
    from compd.pair.spec import ModelSpec

    try:
        spec = ModelSpec.from_json(made_of["model"])
        config = config_from_json(made_of["compress"])
        engine = str(made_of["engine"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise SettingError(
            f"expected the corpus to say how its pair was made, got {error!r}; name the pair "
            "with --pair DIR or --model"
        ) from error
    if spec.is_code and not request.trust:
        raise SettingError(
            f"expected --trust, since the corpus was made with model={spec.model!r}, which is "
            "code that would be run; pass it if you know what that is, or name the pair with "
            "--pair DIR or --model"
        )
    splits = replace(request, channels=spec.channels).splits()
    pair = build_pair(
        spec.model,
        data=splits,
        weights=request.weights,
        width=spec.width,
        mean=spec.mean,
        std=spec.std,
        compress=config,
        engine=request.engine or (engine if engine in ENGINES else None),
        training=request.training(splits),
        device=request.device,
        report=report,
    )
    return pair, splits
