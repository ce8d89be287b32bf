"""What a gate says of one deviation, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from compd.corpus import Record, fingerprint_changes
from compd.gating.baseline import Accepted
from compd.gating.compared import Compared
from compd.gating.policy import Policy
from compd.search import Stability

__all__ = ["Deviation", "Status", "machine_changes", "status_of"]

# What says which models, files or packages there are, and not how this machine computes.
_NEUTRAL = {
    "batch",
    "compd",
    "numpy",
    "pillow",
    "python",
    "original_sha256",
    "shadow_sha256",
    "deployed_sha256",
}
_OF_FILES = ("_opset", "_producer", "_recorded")


class Status(StrEnum):
    """What becomes of a deviation at the gate."""

    NEW = "new"  # deviates here, and nobody has accepted it
    UNCONFIRMED = "unconfirmed"  # stored on a machine that may answer otherwise; not seen here
    FLAKY = "flaky"  # deviates here, but not each time
    MILD = "mild"  # below the policy's severity
    RECORDED = "recorded"  # of a seed that deviates no more than the accepted pair's search found
    ACCEPTED = "accepted"  # deviates here, as the baseline says
    STALE = "stale"  # accepted, and does not deviate here any more
    FIXED = "fixed"  # does not deviate any more, and is not accepted


@dataclass(frozen=True)
class Deviation:
    """One deviation at the gate."""

    record: Record  # as judged here, where it deviates here; else as it was stored
    status: Status
    why: str  # of the status, one line
    found: str  # "corpus" or "search"
    line: int | None  # of the corpus's metadata file, from 1; None if it is not in there

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        record = self.record
        return {
            "sha256": record.sha256,
            "status": str(self.status),
            "why": self.why,
            "found": self.found,
            "flip": record.flip,
            "severity": record.severity,
            "original_margin": record.original.margin,
            "deployed_margin": record.deployed.margin,
            "linf": record.linf,
            "l2": record.l2,
            "seed_row": record.seed_row,
            "seed_sha256": record.seed_sha256,
            "trust": None if record.stability is None else str(record.stability),
        }


def machine_changes(record: Record, now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """What of an entry's fingerprint differs in a way that can change the same model's answers.

    Args:
        record: the entry.
        now: the fingerprint of the pair on this machine.

    Returns:
        key -> (then, now): engine, versions of runtimes, CPU flags, threads and the like. Which
        models there are is left out: they are what a gate tests.
    """
    return {
        key: values
        for key, values in fingerprint_changes(record, now).items()
        if key not in _NEUTRAL and not key.endswith(_OF_FILES) and "_input" not in key
    }


def status_of(
    record: Record,
    accepted: Accepted | None,
    policy: Policy,
    *,
    deviates: bool,
    elsewhere: Mapping[str, tuple[str, str]],
    invalid: bool = False,
    retrained: float | None = None,
    comparison: Compared | None = None,
) -> tuple[Status, str]:
    """Decide on one deviation.

    Args:
        record: as judged here, where it deviates here; else as it was stored.
        accepted: what the baseline says of it.
        policy: what counts.
        deviates: whether it deviates here.
        elsewhere: how the machine that it was stored on differs from this one.
        invalid: whether the original itself no longer gives the seed's label.
        retrained: by how much a deviation of another model than the accepted one may be more
            severe; None: it is the same one, or there is no record of it.
        comparison: of a deviation of the search: the search next to its record, if there is one.

    Returns:
        The status, and one line that says why.
    """
    if not deviates:
        gone = "does not deviate here"
        if invalid:
            gone = f"the original itself no longer says {record.original.name} here"
        if accepted is not None:
            return Status.STALE, f"accepted ({accepted.reason}); {gone}"
        unlike = "; ".join(f"{key} {then} → {now}" for key, (then, now) in elsewhere.items())
        if (
            unlike
            and record.severity >= policy.min_severity
            and record.stability is not Stability.FLAKY
        ):
            return Status.UNCONFIRMED, f"{gone}; stored where {unlike:.300}"
        return Status.FIXED, gone
    if record.stability is Stability.FLAKY:
        return Status.FLAKY, "does not deviate each time"
    why = "not in the baseline"
    if accepted is not None:
        why = _worse(record, accepted, policy, retrained)
        if not why:
            other = "" if accepted.sha256 == record.sha256 else f"as {accepted.sha256[:12]}: "
            return Status.ACCEPTED, other + accepted.reason
    if record.severity < policy.min_severity:
        return Status.MILD, f"severity {record.severity:.3f} is below {policy.min_severity:g}"
    return (Status.NEW, why) if comparison is None else _by_record(record, comparison)


def _by_record(record: Record, comparison: Compared) -> tuple[Status, str]:
    """What becomes of a deviation that nobody accepted where there is a record of its seed."""
    for one in comparison.worse:
        if one.seed.sha256 == record.seed_sha256:
            before = f"{one.seed.severity:.2f}" if one.seed.severity else "no deviation"
            return Status.NEW, f"its seed was on record with {before}"
    return Status.RECORDED, "its seed is no worse than on record"


def _worse(record: Record, accepted: Accepted, policy: Policy, retrained: float | None) -> str:
    """In what a deviation is more than was accepted; empty if it is not."""
    rise = policy.max_severity_rise if retrained is None else retrained
    other = Accepted.of(record, accepted.reason).flip != accepted.flip
    if other and (retrained is None or record.severity > rise):
        return f"accepted as {accepted.flip}, and now {record.flip}"
    # a line has two digits; half a thousandth is for the sum of two floats
    if round(record.severity, 2) > accepted.severity + rise + 5e-4:
        return f"accepted at severity {accepted.severity:.2f}, and now {record.severity:.2f}"
    return ""
