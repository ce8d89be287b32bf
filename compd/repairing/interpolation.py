"""How far to go from the weights that a round started from to those that it came to.

Between fine-tuned weights and those before often lie better ones than either (WiSE-FT, Wortsman et
al., CVPR 2022).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compd.compress import tuning_of
from compd.pair import Pair
from compd.repairing.selection import Untouched, Watch

__all__ = ["Interpolation", "interpolated"]

_BACK = (0.75, 0.5, 0.25)  # shares of the trained weights to try, in turn
_FORTH = (0.25, 0.5, 0.75)  # the same of a sparing repair: no further than needed
_LEFT = 0.1  # share of the start's deviations that a sparing repair leaves at most


@dataclass(frozen=True)
class Interpolation:
    """A pair somewhere between two."""

    pair: Pair
    untouched: Untouched  # the pair on clean selection images
    share: float  # of the trained weights


def interpolated(
    pair: Pair,
    before: Mapping[str, Tensor],
    trained: nn.Module,
    watch: Watch,
    *,
    keeps: Callable[[Untouched], bool],
    left: Callable[[Pair], float],
) -> Interpolation:
    """Go back towards what the round started from until accuracy and agreement are kept.

    A sparing repair first goes from there to here, until most of the start's deviations are gone.

    Args:
        pair: what training started from.
        before: the weights that the round started from.
        trained: what it came to; not changed.
        watch: the clean selection images.
        keeps: whether a pair keeps accuracy and agreement.
        left: share of the start's deviations that a pair still has.

    Returns:
        The trained weights if nothing between will do.
    """
    tuning = tuning_of(pair.spec.compress, pair.shadow)

    def between(shares: Sequence[float]) -> Iterator[Interpolation]:
        for share in shares:
            shadow = copy.deepcopy(trained)
            weights = {
                key: torch.lerp(before[key], value.cpu(), share)
                if value.is_floating_point()
                else value
                for key, value in trained.state_dict().items()
            }
            shadow.load_state_dict(weights)
            tuning.finish_(shadow)  # ranges follow the weights
            made = pair.with_shadow(shadow)
            yield Interpolation(made, watch.untouched(made), share)

    for one in between(_FORTH if tuning.sparing else ()):
        if keeps(one.untouched) and left(one.pair) <= _LEFT:
            return one
    made = pair.with_shadow(trained)
    whole = Interpolation(made, watch.untouched(made), 1.0)
    if keeps(whole.untouched):
        return whole
    return next((one for one in between(_BACK) if keeps(one.untouched)), whole)
