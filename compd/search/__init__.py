"""The search: strategies propose, the judge decides, the campaign keeps the books."""

from compd.search.bounds import Bound
from compd.search.campaign import Campaign, fuzz
from compd.search.findings import Answer, Finding, Summary, Trust
from compd.search.judge import Judge, Judgement, Verdict
from compd.search.settings import Settings
from compd.search.stability import Confirm
from compd.search.strategies import (
    STRATEGIES,
    Blackbox,
    Boundary,
    Compd,
    Dflare,
    Diva,
    Pgd,
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
    "Confirm",
    "Dflare",
    "Diva",
    "Finding",
    "Judge",
    "Judgement",
    "Pgd",
    "Settings",
    "Summary",
    "Trust",
    "Verdict",
    "fuzz",
    "strategy",
]
