"""Annotations of GitHub Actions: workflow commands on standard output.

GitHub shows ten of a kind a step and drops the rest without a word, so there are never more.
"""

from __future__ import annotations

from compd.gating.deviations import Status
from compd.gating.outputs.words import detail, metadata_of, plain, title
from compd.gating.result import GateResult

__all__ = ["workflow_commands"]

_MOST = 10
_LEVELS = {Status.NEW: "error", Status.UNCONFIRMED: "warning", Status.FLAKY: "notice"}


def workflow_commands(result: GateResult) -> list[str]:
    """One workflow command a line, at most ten; the last says how many more there are."""
    lines = [
        _command("error", f"compd gate: {name}", said, None)
        for name, said in result.failures.items()
    ]
    for one in result.of(*_LEVELS):
        allowed = one.status is Status.NEW and not result.too_many
        level = "notice" if allowed else _LEVELS[one.status]
        lines.append(_command(level, title(one), detail(one), metadata_of(one, result)))
    if len(lines) > _MOST:
        more = len(lines) - _MOST + 1
        said = f"and {more} more; the job summary and the artifacts have them"
        lines[_MOST - 1 :] = [_command("notice", "compd gate", said, None)]
    return lines


def _command(level: str, name: str, message: str, place: tuple[str, int] | None) -> str:
    properties = {} if place is None else {"file": place[0], "line": str(place[1])}
    properties["title"] = name
    said = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{level} {said}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return plain(text).replace("%", "%25")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
