"""``compd compress``: build a pair and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compd.cli.options import common as o
from compd.cli.options.pair import FILE_OPTIONS, PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["compress"]


@takes_pair("pair", "trust", *FILE_OPTIONS)
def compress(
    named: PairOptions,
    out: Annotated[Path, typer.Option("--out", help="Directory for the pair.")],
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Build a pair (original, shadow, deployed) and save it."""
    from compd.cli.display import live
    from compd.cli.files import check_folder, check_outputs, write_json
    from compd.cli.render.tables import percent, print_facts, print_next
    from compd.pair import check_pair_target
    from compd.pair.evaluation import evaluate
    from compd.pair.warnings import near_chance
    from compd.wording import Worded, command

    prepare(threads)
    check_outputs(json=json)
    check_folder(out)
    check_pair_target(out)
    with live() as control:
        pair, splits = named.request().open(control)
        seen = evaluate(pair, splits.test(), shadow=None, control=control)
    figures = seen.to_json()
    pair.save(out)
    if json is not None:
        write_json(
            json,
            {
                **figures,
                "pair": str(out),
                "rows": dict(pair.spec.rows),
                "fingerprint": pair.fingerprint(batch=256),
            },
        )
    print_facts(
        "",
        [
            ("pair", f"{out} ({pair.spec.label})"),
            (
                "accuracy",
                f"original {percent(figures['original_accuracy'])}, shadow "
                f"{percent(figures['shadow_accuracy'])}, deployed "
                f"{percent(figures['deployed_accuracy'])} (rows {figures['rows']})",
            ),
            ("natural disagreement", percent(figures["natural_disagreement"])),
            ("shadow against deployed", percent(figures["shadow_deployed_disagreement"])),
            *((f"{split} rows", rows) for split, rows in pair.spec.rows.items()),
            *(("warning", Worded(text)) for text in near_chance(pair, seen)),
        ],
    )
    print_next(command("fuzz", pair=out, trust=bool(pair.spec.code)))
    return 0
