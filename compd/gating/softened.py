"""Entries that minimising made mild: a gate that counts by severity no longer sees them."""

from __future__ import annotations

from collections.abc import Iterable

from compd.corpus import Record
from compd.gating.policy import Policy
from compd.wording import command

__all__ = ["softened"]

_KEPT = 0.5  # share of an entry's severity that minimising keeps by default


def softened(records: Iterable[Record], policy: Policy) -> tuple[str, ...]:
    """A warning, in one line, of entries that lost more than half of their severity.

    Args:
        records: of the gate's corpus; those that minimising made say how severe they had been.
        policy: says which severities count.
    """
    fallen = [
        (before, after)
        for before, after in (
            record.minimised.severity
            for record in records
            if record.minimised is not None and record.minimised.severity is not None
        )
        if after < _KEPT * before
    ]
    if not fallen:
        return ()
    before, after = max(fallen, key=lambda one: one[0] - one[1])
    mild = sum(one < policy.min_severity <= was for was, one in fallen)
    count = f"; {mild} now below the policy's min-severity of {policy.min_severity:g}"
    again = command("corpus minimise", keep_severity=_KEPT)
    return (
        f"minimising took more than half of their severity from {len(fallen)} entries, from "
        f"{before:.2f} to {after:.2f} at worst{count if mild else ''}; minimise them again from "
        f"what was found: {again}",
    )
