"""Repair: fine-tune the compressed model where it deviates, and measure what is left."""

from compd.repairing.call import repair
from compd.repairing.methods import METHODS, Distil, Paper, Walk, method
from compd.repairing.origin import check_corpus
from compd.repairing.result import RepairResult
from compd.repairing.run import Plan, plan
from compd.repairing.settings import RepairSettings

__all__ = [
    "METHODS",
    "Distil",
    "Paper",
    "Plan",
    "RepairResult",
    "RepairSettings",
    "Walk",
    "check_corpus",
    "method",
    "plan",
    "repair",
]
