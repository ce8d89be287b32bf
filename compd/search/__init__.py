"""The search: strategies propose, the judge decides, the campaign keeps the books."""

from compd.search.bounds import Bound
from compd.search.call import fuzz
from compd.search.campaign import Campaign
from compd.search.findings import Answer, Finding, Stability, Summary
from compd.search.judge import Judge, Judgement, Verdict
from compd.search.objective import (
    LabelFlip,
    LeastMargin,
    Objective,
    SourceClass,
    TargetClass,
    flip,
)
from compd.search.settings import SearchSettings
from compd.search.stability import StabilityCheck
from compd.search.strategies import (
    STRATEGIES,
    Blackbox,
    Boundary,
    Compd,
    Dflare,
    Diva,
    Pgd,
    Shifts,
    strategy,
)

__all__ = [
    "STRATEGIES",
    "Answer",
    "Blackbox",
    "Bound",
    "Boundary",
    "Campaign",
    "Compd",
    "Dflare",
    "Diva",
    "Finding",
    "Judge",
    "Judgement",
    "LabelFlip",
    "LeastMargin",
    "Objective",
    "Pgd",
    "SearchSettings",
    "Shifts",
    "SourceClass",
    "Stability",
    "StabilityCheck",
    "Summary",
    "TargetClass",
    "Verdict",
    "flip",
    "fuzz",
    "strategy",
]
