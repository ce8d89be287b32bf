"""A pair: original, shadow and deployed, how it is made, opened, measured and checked."""

from compd.pair.pair import Pair, check_pair_target, choose_device

__all__ = ["Pair", "check_pair_target", "choose_device"]
