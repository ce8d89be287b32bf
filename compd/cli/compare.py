"""``compd compare``: the same images on several runtimes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.cli.pairs import open_pair_of
from compd.system import prepare

__all__ = ["compare"]

_SHOWN = 8
_LAYERS = 64  # images whose sums are looked at layer by layer


@takes_pair()
def compare(
    request: PairRequest,
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
    """Replay a corpus, or clean images, on several runtimes: where do their answers part?"""
    import torch

    import compd.pair.comparison as library
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.compare import print_comparison, print_saturation
    from compd.corpus import Corpus
    from compd.errors import SettingError
    from compd.pair.runtimes import runtimes_of
    from compd.runtimes import FileRuntime
    from compd.runtimes.converted import Saturation, saturation_by_layer

    prepare(threads)
    check_outputs(json=json)
    for name in ("plain", "saturating"):
        if name in runtimes.split(",") and request.deployed is None:
            raise SettingError(
                f"expected --deployed FILE with --runtimes {name}, got none; it is of that file"
            )
    with live() as report:
        labels = None
        if corpus is not None:
            store = Corpus(corpus)
            pair = open_pair_of(store, request, report)
            records = list(store)
            images = torch.stack([store.image(record) for record in records])
            labels = torch.tensor([record.seed_label for record in records])
            names = [record.sha256[:12] for record in records]
        else:
            pair, splits = request.open(report)
            split = splits.seeds
            count = min(len(split), 1000 if seeds is None else seeds)
            images, names = split.images[:count], [split.row(i) for i in range(count)]
        opened = runtimes_of(pair, runtimes, request.overrides())
        result = library.compare(
            opened, images, names, labels=labels, batch=batch or 64, report=report
        )
        by_layer: tuple[Saturation, ...] = ()
        if "saturating" in opened and isinstance(pair.deployed, FileRuntime):
            by_layer = saturation_by_layer(pair.deployed, images[:_LAYERS])
    print_saturation(by_layer, min(_LAYERS, len(images)))
    print_comparison(result, pair.classes, None if corpus is None else str(corpus), _SHOWN)
    if json is not None:
        layers = [asdict(layer) for layer in by_layer]
        write_json(json, {**result.to_json(), "saturation": layers})
    return 0
