"""The pair that a corpus is judged on: the one that is named, else the one it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compd.compress import code_of, config_from_json
from compd.compress.int8 import ENGINES
from compd.control import QUIET, Control
from compd.corpus.store import Corpus
from compd.data import Resize, Splits
from compd.errors import InputError, SettingError
from compd.files.programs import names_program
from compd.pair import Pair
from compd.pair.build import build_pair
from compd.pair.requests import PairFolder, PairRecipe, PairRequest, facts_of, names_pair
from compd.pair.spec import ModelSpec
from compd.runtimes.openers import OPENERS
from compd.system.machine import cpu_count
from compd.wording import setting

__all__ = ["open_pair_of", "open_with_data", "threads_of"]


def open_pair_of(
    corpus: Corpus, request: PairRequest, *, changed: bool = False, control: Control = QUIET
) -> Pair:
    """Open the pair that a request names, or else build the one that a corpus was made with.

    Args:
        corpus: the corpus.
        request: what is said of the pair.
        changed: as of :func:`open_with_data`; a pair's folder keeps its own engine then, and else
            runs on the one that all entries were judged on.
        control: told of progress.

    Raises:
        CompdError: if none is named and the corpus does not say, or it cannot be built again.
    """
    if isinstance(request, PairFolder) and request.data is None:
        return _on_engine_of(corpus, request, changed).load()  # its data need not be there
    return open_with_data(corpus, request, changed=changed, control=control)[0]


def open_with_data(
    corpus: Corpus, request: PairRequest, *, changed: bool = False, control: Control = QUIET
) -> tuple[Pair, Splits]:
    """The same, with the data.

    Args:
        corpus: the corpus.
        request: what is said of the pair.
        changed: whether the pair that the corpus names may come out otherwise than it was: that is
            what a gate is there to notice.
        control: told of progress.
    """
    if isinstance(request, PairFolder):
        return _on_engine_of(corpus, request, changed).open(control)
    if not isinstance(request, PairRecipe) or names_pair(request):
        return request.open(control)
    file = request.deployed
    if file is not None:
        file.check()
    pair, splits = _own_pair(corpus, request, other=changed or file is not None, control=control)
    return (pair if file is None else file.on(pair)), splits


def threads_of(corpus: Corpus) -> int | None:
    """As many threads as all entries were found with; None if they differ, or are not there.

    Sums are added in another order with another number of threads.
    """
    found = {record.fingerprint.get("threads") for record in corpus}
    number = found.pop() if len(found) == 1 else None
    return number if isinstance(number, int) and 1 <= number <= cpu_count() else None


def _on_engine_of(corpus: Corpus, request: PairFolder, changed: bool) -> PairFolder:
    """A pair's folder without an engine runs on the one that all entries were judged on."""
    if changed or request.engine is not None:
        return request
    engines = {str(record.fingerprint.get("engine")) for record in corpus}
    one = next(iter(engines)) if len(engines) == 1 and engines < {*ENGINES} else None
    return replace(request, engine=one)


def _own_pair(
    corpus: Corpus, request: PairRecipe, *, other: bool, control: Control
) -> tuple[Pair, Splits]:
    """Build the pair that a corpus was made with, and see to it that it is the same one.

    Args:
        corpus: the corpus.
        request: what else is said of the pair.
        other: whether it need not be the same: another deployed model will take its place, or it
            is judged for what it has become.
        control: told of progress.
    """
    where = str(corpus.directory)
    if not len(corpus):
        raise InputError(f"expected entries to judge, got an empty corpus: {where!r}")
    first = next(iter(corpus))
    files = facts_of(first.pair)
    if files is not None and not _names_a_file(files.get("deployed")):
        raise SettingError(
            f"expected the models that {where!r} was made with, which were objects of a Python "
            f"process ({files.get('original')}, {files.get('deployed')}); open the corpus there: "
            "compd.verify(compd.Corpus(…), pair)"
        )
    if files is not None:
        raise SettingError(
            f"expected the models that {where!r} was made with, got none; name them with "
            f"{setting('original', files.get('original'))} "
            f"{setting('deployed', _typed(files.get('deployed')))} "
            f"{setting('data', first.seed_data)}, and "
            "the settings that say how they are read"
        )
    if request.data is None and first.seed_data != "digits":
        raise SettingError(
            f"expected to be told of the pair of {where!r}, which was made from "
            f"data={first.seed_data!r}; name it with {setting('pair', 'DIR')}, or with "
            f"{setting('data')} and the {setting('model')}, {setting('weights')} and settings that "
            "it was made with"
        )
    made_with = {str(record.fingerprint.get("deployed_sha256")) for record in corpus}
    recipes = {json.dumps(record.pair, sort_keys=True) for record in corpus}
    if len(recipes if other else made_with) != 1:
        raise SettingError(
            f"expected {setting('pair', 'DIR')} or {setting('model')}, since {where!r} holds "
            f"entries of {len(recipes if other else made_with)} pairs"
        )
    pair, splits = _built_like(
        first.pair, replace(request, data=request.data or first.seed_data), control
    )
    if pair.hashes["deployed"] not in made_with and not other:
        raise InputError(
            f"expected the pair that {where!r} was made with, got another (built from its "
            f"settings, with other weights); name it with {setting('pair', 'DIR')}, or "
            f"{setting('model')}, {setting('weights')} and the settings that it was made with"
        )
    return pair, splits


def _names_a_file(deployed: object) -> bool:
    """Whether a corpus names a file, or a program, as its deployed model, and not an object."""
    return names_program(str(deployed)) or Path(str(deployed)).suffix.lower() in OPENERS


def _typed(deployed: object) -> str:
    """The file as it is typed; of a program, records have no more than its name."""
    return f"'{deployed} …'" if names_program(str(deployed)) else str(deployed)


def _built_like(
    made_of: Mapping[str, Any], request: PairRecipe, control: Control
) -> tuple[Pair, Splits]:
    """Build the pair that a corpus names, on the data and the engine of a request."""
    try:
        spec = ModelSpec.from_json(made_of["model"])
        config = config_from_json(made_of["compress"])
        engine = str(made_of["engine"])
        resize = Resize.parse(str(made_of["resize"])) if "resize" in made_of else None
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"expected the corpus to say how its pair was made, got {error!r}; name the pair "
            f"with {setting('pair', 'DIR')} or {setting('model')}"
        ) from error
    code = spec.model if spec.is_code else code_of(config)
    if code and not request.trust:
        raise SettingError(
            f"expected {setting('trust', True)}, since the corpus was made with "
            f"model={code!r}, which is code that would be run; pass it if you know what that "
            f"is, or name the pair with {setting('pair', 'DIR')} or {setting('model')}"
        )
    splits = replace(
        request,
        channels=spec.channels,
        size=request.size or spec.size,
        resize=request.resize or resize,
    ).splits()
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
        control=control,
    )
    return pair, splits
