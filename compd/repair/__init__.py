"""Repair: fine-tune the compressed model where it deviates, and measure what is left."""

from compd.repair.methods import METHODS, Distil, Paper, Walk, method
from compd.repair.result import RepairResult
from compd.repair.run import Plan, plan, repair
from compd.repair.settings import Settings

__all__ = [
    "METHODS",
    "Distil",
    "Paper",
    "Plan",
    "RepairResult",
    "Settings",
    "Walk",
    "method",
    "plan",
    "repair",
]
