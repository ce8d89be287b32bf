"""The gate: what deviates now, and did anybody decide so?"""

from compd.gate.baseline import Accepted, Baseline, baseline_of
from compd.gate.deviations import Deviation, Status, machine_changes, status_of
from compd.gate.hunt import Hunted, hunt
from compd.gate.known import Known
from compd.gate.policy import Policy, find_policy
from compd.gate.replays import as_judged
from compd.gate.result import GateResult
from compd.gate.run import gate
from compd.gate.search import settings_for

__all__ = [
    "Accepted",
    "Baseline",
    "Deviation",
    "GateResult",
    "Hunted",
    "Known",
    "Policy",
    "Status",
    "as_judged",
    "baseline_of",
    "find_policy",
    "gate",
    "hunt",
    "machine_changes",
    "settings_for",
    "status_of",
]
