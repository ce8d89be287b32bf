"""Reading which deviations of a corpus are accepted.

TODO at merge: ``compd.gate.baseline.Baseline.load(path)`` takes this module's place.
"""

from __future__ import annotations

from pathlib import Path

from compd.corpus.fields import HASH
from compd.errors import CompdError
from compd.storage import disk_errors

__all__ = ["BASELINE", "accepted"]

BASELINE = "baseline.txt"


def accepted(path: Path) -> dict[str, str]:
    """Hash -> why it is accepted, of lines ``sha256<TAB>flip<TAB>severity<TAB>reason``.

    Raises:
        CompdError: if there is no such file, or a line is something else.
    """
    with disk_errors(path):
        data = path.read_bytes()
    found = {}
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise CompdError(f"expected a baseline in UTF-8, got other bytes: {path}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.rstrip("\r").split("\t", 3)
        if len(parts) < 4 or not HASH.fullmatch(parts[0]):
            raise CompdError(
                f"expected a hash, flip, severity and reason with tabs between them, got "
                f"{line[:80]!r}: {path} line {number}"
            )
        found[parts[0]] = parts[3] or "accepted"
    return found
