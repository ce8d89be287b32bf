"""The gate: what deviates now, and did anybody decide so?"""

from compd.gating.accepting import Acceptance, Pruning, accept, prune, record_search
from compd.gating.baseline import Accepted, Baseline, baseline_of
from compd.gating.compared import Compared, against_record
from compd.gating.deviations import Deviation, Status, machine_changes, status_of
from compd.gating.hunt import Hunted, hunt
from compd.gating.known import Known
from compd.gating.opening import new_findings, open_gated
from compd.gating.policy import Policy, find_policy, read_shift_limits
from compd.gating.record import SearchRecord, path_of
from compd.gating.replays import as_judged
from compd.gating.result import GateResult
from compd.gating.run import gate
from compd.gating.search import settings_for

__all__ = [
    "Acceptance",
    "Accepted",
    "Baseline",
    "Compared",
    "Deviation",
    "GateResult",
    "Hunted",
    "Known",
    "Policy",
    "Pruning",
    "SearchRecord",
    "Status",
    "accept",
    "against_record",
    "as_judged",
    "baseline_of",
    "find_policy",
    "gate",
    "hunt",
    "machine_changes",
    "new_findings",
    "open_gated",
    "path_of",
    "prune",
    "read_shift_limits",
    "record_search",
    "settings_for",
    "status_of",
]
