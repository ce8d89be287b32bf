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

from compd.compress.tuning import tuning_of
from compd.pair import Pair
from compd.repairing.selection import Untouched, Watch

__all__ = ["Interpolation", "interpolated", "with_shadow"]

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
        The trained weights if no blend will do.
    """
    tuning = tuning_of(pair.spec.compress, pair.shadow)

    def blends(shares: Sequence[float]) -> Iterator[Interpolation]:
        for share in shares:
            blend = copy.deepcopy(trained)
            mixed = {
                key: torch.lerp(before[key], value.cpu(), share)
                if value.is_floating_point()
                else value
                for key, value in trained.state_dict().items()
            }
            blend.load_state_dict(mixed)
            tuning.finish_(blend)  # ranges follow the weights
            made = with_shadow(pair, blend)
            yield Interpolation(made, watch.untouched(made), share)

    for blend in blends(_FORTH if tuning.sparing else ()):
        if keeps(blend.untouched) and left(blend.pair) <= _LEFT:
            return blend
    made = with_shadow(pair, trained)
    whole = Interpolation(made, watch.untouched(made), 1.0)
    if keeps(whole.untouched):
        return whole
    return next((blend for blend in blends(_BACK) if keeps(blend.untouched)), whole)


def with_shadow(pair: Pair, shadow: nn.Module) -> Pair:
    """The pair with another shadow, and the deployed model that is made of it."""
    return Pair(pair.spec, pair.original, shadow, device=pair.device)
