"""``compd compare``: the same images on several runtimes."""

from __future__ import annotations

from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.layers import LayeredOptions
from compd.cli.options.remembered import with_memory
from compd.cli.options.takes import takes_pair
from compd.errors import SettingError
from compd.system import prepare

__all__ = ["compare"]

_SHOWN = 8


@takes_pair()
def compare(
    named: LayeredOptions,
    runtimes: Annotated[
        str,
        typer.Option(
            "--runtimes",
            help="Two or more with commas: original, deployed, shadow, plain (no optimisation), "
            "saturating (as CPUs without VNNI add), x86, fbgemm, onednn, qnnpack, or files.",
        ),
    ],
    corpus: o.CorpusDir = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Clean images, without --corpus. Default: 1000.")
    ] = None,
    json: o.JsonFile = None,
    batch: o.Batch = None,
    threads: o.Threads = None,
) -> int:
    """Replay a corpus, or clean images, on several runtimes."""
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.compare import print_comparison, print_saturation
    from compd.corpus.comparing import compare_pair

    prepare(threads)
    check_outputs(json=json)
    named = with_memory(named, corpus)
    for name in ("plain", "saturating"):
        if name in runtimes.split(",") and named.deployed is None:
            raise SettingError(
                f"expected --deployed FILE with --runtimes {name}, got none; it is of that file"
            )
    o.check_batch(batch)
    request = named.request()
    with live() as control:
        result = compare_pair(
            request,
            runtimes,
            corpus=corpus,
            seeds=seeds,
            overrides=named.overrides(),
            batch=batch,
            control=control,
        )
    print_saturation(result.saturation, result.looked_at)
    where = None if corpus is None else str(corpus)
    print_comparison(result.comparison, result.classes, where, _SHOWN)
    if json is not None:
        write_json(json, result.to_json())
    return 0
