"""A pair: original, shadow and deployed, how it is made, opened, evaluated and checked."""

from compd.pair.pair import Pair, check_pair_target

__all__ = ["Pair", "check_pair_target"]
