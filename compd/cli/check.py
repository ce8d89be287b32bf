"""``compd check``: is this pair what it is said to be?"""

from __future__ import annotations

from compd.cli.options import common as o
from compd.cli.options.pair import PairRequest
from compd.cli.options.takes import takes_pair
from compd.system import prepare

__all__ = ["check"]


@takes_pair()
def check(
    request: PairRequest,
    allow_float: o.AllowFloat = False,
    json: o.JsonFile = None,
    threads: o.Threads = None,
) -> int:
    """Look at a pair before a search: types, input, agreement, gradients. 2 if it is faulty."""
    import compd.pair.preflight as library
    from compd.cli.display import live
    from compd.cli.files import check_outputs, write_json
    from compd.cli.render.check import print_check

    prepare(threads)
    check_outputs(json=json)
    with live() as report:
        pair, splits = request.open(report)
        result = library.check(pair, splits, allow_float=allow_float, report=report)
    print_check(result, notes=pair.notes)
    if json is not None:
        write_json(json, result.to_json())
    result.raise_if_faulty()
    return 0
