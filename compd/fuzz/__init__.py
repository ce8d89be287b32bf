"""The search: strategies propose, the judge decides, the campaign keeps the books."""

from compd.fuzz.campaign import Campaign, Settings, fuzz
from compd.fuzz.findings import Answer, Finding, Summary
from compd.fuzz.judge import Judge, Judgement, Verdict
from compd.fuzz.strategies import STRATEGIES, Blackbox, Boundary, Compd, Dflare, Diva, strategy

__all__ = [
    "STRATEGIES",
    "Answer",
    "Blackbox",
    "Boundary",
    "Campaign",
    "Compd",
    "Dflare",
    "Diva",
    "Finding",
    "Judge",
    "Judgement",
    "Settings",
    "Summary",
    "Verdict",
    "fuzz",
    "strategy",
]
