"""Writing a gate's result wherever it was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from compd.corpus import Corpus
from compd.errors import CompdError
from compd.files.outputs import append_output, write_output
from compd.gating.deviations import Deviation
from compd.gating.outputs.junit import junit
from compd.gating.outputs.sarif import sarif
from compd.gating.outputs.summary import summary
from compd.gating.result import GateResult

__all__ = ["write_result"]

_PAGE = 1 << 20  # bytes of a page that GitHub shows


def write_result(
    result: GateResult,
    corpus: Corpus,
    found: Corpus | None,
    *,
    page: str | None = None,
    **places: Path | str | None,
) -> list[CompdError]:
    """Write what was asked for; what could not be written keeps nothing else from being.

    Args:
        result: of the gate.
        corpus: that was replayed.
        found: where new findings are stored.
        page: address of the HTML page, for those that link to it; None if there is none.
        places: ``json``, ``junit``, ``sarif`` and ``summary`` (which is appended) -> where; None
            or empty for nowhere.

    Returns:
        What could not be written.
    """

    def pictures(one: Deviation) -> tuple[Tensor, Tensor]:
        home = corpus if one.found == "corpus" or found is None else found
        return home.image(one.record), home.seed_image(one.record)

    def append(path: Path) -> None:
        append_output(
            path, lambda there: summary(result, pictures, room=_PAGE - there, page=page).encode()
        )

    writers: dict[str, Callable[[Path], None]] = {
        "json": lambda path: write_output(
            path, (json.dumps(result.to_json(), indent=2) + "\n").encode()
        ),
        "junit": lambda path: write_output(path, junit(result, page)),
        "sarif": lambda path: write_output(path, sarif(result)),
        "summary": append,
    }
    failed = []
    for name, write in writers.items():
        place = places.get(name)
        try:
            if place:
                write(Path(place))
        except CompdError as error:
            failed.append(error)
    return failed
