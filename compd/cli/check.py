"""``compd check``: is this pair what it is said to be?"""

from __future__ import annotations

from compd.cli.options import common as o
from compd.cli.options.pair import PairOptions
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["check"]

_IMAGES = 500


@takes_pair()
def check(
    named: PairOptions,
    allow_float: o.AllowFloat = False,
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Look at a pair before a search; exit 2 if it is faulty.

    Types, how images are read, agreement, gradients.
    """
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.check import print_check
    from compd.pair import preflight

    prepare(threads)
    check_outputs(json=json)
    with live() as control:
        pair, splits = named.request().open(control)
        result = preflight.check(
            pair, splits.seeds.first(_IMAGES), allow_float=allow_float, control=control
        )
    print_check(result, notes=pair.notes)
    if json is not None:
        write_json(json, result.to_json())
    result.raise_if_faulty()
    return 0
