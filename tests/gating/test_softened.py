"""The gate names entries that minimising made mild."""

from __future__ import annotations

from dataclasses import replace

from compd.corpus.records import Minimised
from compd.gating import Policy
from compd.gating.softened import softened


def made(record, before: float | None, after: float):
    severity = None if before is None else (before, after)
    how = Minimised("ab" * 32, (9, 1), (9, 1), (4, 8), (0.1, 0.1), {"trials": 1}, severity)
    return replace(record, severity=after, minimised=how)


def test_more_than_half_is_named(make_record) -> None:
    records = [
        made(make_record(1), 0.6, 0.05),
        made(make_record(2), 0.6, 0.2),
        made(make_record(3), 0.6, 0.3),  # half of it
        made(make_record(4), None, 0.01),  # nobody wrote down what it was
        make_record(5, severity=0.01),
    ]
    (said,) = softened(records, Policy())
    assert said.startswith(
        "minimising took more than half of their severity from 2 entries, from 0.60 to 0.05 at "
        "worst; minimise them again"
    )
    assert "--keep-severity 0.5" in said
    assert "\n" not in said
    (said,) = softened(records, Policy(min_severity=0.1))
    assert "1 now below the policy's min-severity of 0.1" in said


def test_what_kept_half_is_not(make_record) -> None:
    assert softened([made(make_record(1), 0.6, 0.31), make_record(2)], Policy()) == ()
