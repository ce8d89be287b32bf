"""The strategy of small changes under a bound."""

from __future__ import annotations

from hypothesis import strategies as st

from compd.errors import SettingError
from compd.pair import Pair
from compd.search.bounds import Bound
from compd.testing.candidates import Candidate
from compd.testing.patches import added, patch_lists
from compd.testing.ways import Ways

__all__ = ["perturbed"]

_PARTS = 1000  # of the bound, and of a step along the boundaries
_FINE = 100  # of a level: models part within fractions of one
_BESIDE = 0.06  # share of the way to the boundaries that examples may lie beside them

# How far a way is followed at most. What is beyond the bound is the whole way: most examples.
_FAR = st.integers(0, 5 * _PARTS)


def perturbed(
    seeds: st.SearchStrategy[Candidate],
    *,
    eps: int = 8,
    norm: str = "linf",
    towards: Pair | None = None,
    patches: int | None = None,
) -> st.SearchStrategy[Candidate]:
    """Images near seeds, on the 8-bit lattice; the seed itself is the simplest.

    A change is drawn as a few integers, whatever the size of the image: up to four squares, waves
    or grains of any strength. With ``towards``, the gradients of a pair say where to go instead,
    and what is drawn is how far: across to where both models are undecided, and apart along their
    boundaries. The gaps of a sound int8 model are narrow: there, more examples find more.

    Shrinking takes patches away, then makes what is left weaker, then looks for an earlier seed.

    Args:
        seeds: draws seeds, such as :func:`compd.testing.seeds`; what was done to them is undone.
        eps: how far a change may go: levels of 255 that each value may move, or with ``l2`` the
            Euclidean length of the whole change in levels.
        norm: ``linf`` or ``l2``.
        towards: a pair whose original and shadow have gradients.
        patches: how many at most; by default 4, and with ``towards`` none.

    Raises:
        CompdError: if ``eps`` or ``norm`` makes no sense, or ``towards`` has no gradients.
    """
    most = (4 if towards is None else 0) if patches is None else patches
    if most < 0 or (most == 0 and towards is None):
        raise SettingError("patches >= 1, or a pair to go towards", patches=patches)
    bound = Bound(eps, norm)
    return _perturbed(seeds, bound, most, None if towards is None else Ways(towards, bound))


@st.composite
def _perturbed(
    draw: st.DrawFn,
    seeds: st.SearchStrategy[Candidate],
    bound: Bound,
    most: int,
    ways: Ways | None,
) -> Candidate:
    # What is drawn first counts most in shrinking: few patches, then how far at most, then which
    # seed. So an earlier seed never takes the place of one that deviates nearer by.
    chosen = draw(patch_lists(most)) if most else []
    reach = 0 if ways is None else draw(_FAR)
    candidate = draw(seeds)
    seed = candidate.seed
    change = added(chosen, seed, bound)
    how = [str(patch) for patch in chosen if patch.strength]
    if ways is not None:
        way = ways(candidate)
        apart = draw(st.integers(0, _PARTS * way.steps)) / _PARTS
        beside = round(_FINE * max(1.0, _BESIDE * way.boundary))
        across = draw(st.integers(-beside, beside)) / _FINE
        if reach:
            longest = 255.0 if bound.eps is None else float(bound.eps)
            if bound.norm == "linf":
                longest *= seed.numel() ** 0.5
            change += way.at(apart, across, reach / _PARTS * longest) - way.seed
            how.append(f"{apart:g} steps apart, {across:g} levels across")
    image = bound.clip((seed + change)[None], seed[None])[0]
    return candidate.moved(image, ", ".join(how), eps=bound.eps, norm=bound.norm)
