"""A look at a pair before a campaign: is it what it is said to be?"""

from compd.preflight.check import FileFacts, Preflight, check

__all__ = ["FileFacts", "Preflight", "check"]
