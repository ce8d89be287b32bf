"""``compd replay``: what do both models say of this file?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.system import prepare

if TYPE_CHECKING:
    from compd.control import Control
    from compd.corpus import Corpus
    from compd.pair import Pair

__all__ = ["replay"]


@takes_pair()
def replay(
    named: LayeredOptions,
    file: Annotated[Path, typer.Argument(help="A picture, of a corpus or not.")],
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Judge one picture on a pair; exit 1 if it deviates.

    A picture of a corpus deviates if the original still gives its seed's label, and the deployed
    model another one; any other picture if the two models differ.
    """
    from compd.cli.display import live
    from compd.cli.files import check_outputs, prepare_as, write_json
    from compd.cli.render.replay import print_replay
    from compd.corpus.pictures import corpus_around, replay_file

    check_outputs(json=json)
    store = corpus_around(file)
    named = with_memory(named, None if store is None else store.directory)
    if store is None:
        prepare(threads)
    else:
        prepare_as(store, threads)
    with live() as control:
        pair = _open(named, store, file, control)
    result = replay_file(pair, file, store)
    if json is not None:
        write_json(json, result.to_json())
    print_replay(result)
    return int(result.deviates)


def _open(named: LayeredOptions, store: Corpus | None, file: Path, control: Control) -> Pair:
    from compd.corpus.opening import open_pair_of
    from compd.errors import SettingError
    from compd.pair.requests import PairFolder

    request = named.request()
    if store is not None and len(store):
        return open_pair_of(store, request, changed=named.names_pair, control=control)
    if isinstance(request, PairFolder):
        return request.load()
    if named.names_pair:
        return request.open(control)[0]
    raise SettingError(
        f"expected --pair DIR or --model, since {str(file)!r} is in no corpus that names its pair"
    )
