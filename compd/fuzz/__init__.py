"""The search: strategies propose, the judge decides, the campaign keeps the books."""

from compd.fuzz.bounds import Bound
from compd.fuzz.campaign import Campaign, fuzz
from compd.fuzz.findings import Answer, Finding, Summary, Trust
from compd.fuzz.judge import Judge, Judgement, Verdict
from compd.fuzz.settings import Settings
from compd.fuzz.strategies import (
    STRATEGIES,
    Blackbox,
    Boundary,
    Compd,
    Dflare,
    Diva,
    Pgd,
    strategy,
)
from compd.fuzz.trust import Confirm

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
