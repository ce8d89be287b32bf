"""The search as one call."""

from __future__ import annotations

from compd.control import QUIET, Control
from compd.pair import Pair
from compd.pair.images import Images, as_split
from compd.search.campaign import Campaign
from compd.search.objective import LabelFlip, Objective
from compd.search.settings import SearchSettings

__all__ = ["fuzz"]

_ANY = LabelFlip()


def fuzz(
    pair: Pair,
    images: Images,
    *,
    strategy: object = "boundary",
    limit: int | None = None,
    eps: int | None = None,
    norm: str = "linf",
    goal: str = "first",
    objective: Objective = _ANY,
    wrong_seeds: str = "keep",
    random_seed: int = 0,
    keep: str = "effective",
    seconds: float | None = None,
    queries: int | None = None,
    control: Control = QUIET,
) -> Campaign:
    """Search for inputs on which the deployed model leaves the original's answer.

    Nothing runs until the result is iterated; each iteration step hands out one finding, and
    ``summary()`` gives the numbers at any time.

    Args:
        pair: what to test.
        images: clean images to start from: uint8 (N, C, H, W), rows of a data set, a data set or
            its name; see :data:`compd.pair.images.Images`. Those on which the pair disagrees are
            set aside.
        strategy: a registered one by its name, as in ``"diva"`` or ``"blackbox:queries=200"``, or a
            configuration of it, as in ``Diva(steps=8)``. ``boundary``, ``compd``, ``diva`` and
            ``pgd`` follow gradients; ``blackbox`` and ``dflare`` ask for answers alone.
        limit: seeds to search from, the first ones on which the models agree; None for all.
        eps: bound of the change in whole levels of 255, so that 8 is 8/255; None for no bound.
        norm: what ``eps`` bounds: ``linf``, each value, or ``l2``, the length of the whole change.
        goal: ``first`` stops at a seed's first deviation; ``severe`` goes on towards the highest
            severity, and hands out the best of each seed; ``boundary`` ends a seed at its ``sure``,
            0.99.
        objective: which deviations count, as in ``TargetClass("dog") & LeastMargin(0.2)`` of
            :mod:`compd.search`; any change of label by default.
        wrong_seeds: ``aside`` sets aside the images that the original gets wrong, where they are
            labelled; ``keep`` searches from them, too.
        random_seed: of all draws, 0..2**63 - 1; what is drawn for a seed depends on it and on the
            seed's pixels alone.
        keep: ``effective`` hands out deviations; ``valid``, also candidates that changed no answer.
        seconds: wall time after which the search ends; None for no limit.
        queries: candidates a seed of ``blackbox`` where it takes over from a strategy that follows
            gradients; None for 2000 instead of it, and 400 after it.
        control: told of progress, and asked whether to stop.

    Raises:
        CompdError: if a setting makes no sense or the seeds do not fit the pair.
    """
    settings = SearchSettings(
        strategy=strategy,
        limit=limit,
        eps=eps,
        norm=norm,
        goal=goal,
        objective=objective,
        wrong_seeds=wrong_seeds,
        random_seed=random_seed,
        keep=keep,
        seconds=seconds,
        queries=queries,
    )
    return Campaign(pair, as_split(images, pair), settings, control=control)
