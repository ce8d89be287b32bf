"""The strategy of natural shifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from compd.errors import SettingError, unknown
from compd.shifts.camera import CAMERA, DETAIL
from compd.testing.candidates import Candidate

__all__ = ["shifted"]


def shifted(
    seeds: st.SearchStrategy[Candidate],
    kinds: Sequence[str] = tuple(CAMERA),
    *,
    most: Mapping[str, int] | None = None,
) -> st.SearchStrategy[Candidate]:
    """Images as a camera might have taken them; the seed itself is the simplest.

    ======================  ==============================================  ==================
    kind                    amount                                          as far as
    ======================  ==============================================  ==================
    ``brightness``          levels of 255, darker or brighter               32
    ``contrast``            percent, less or more                           30
    ``noise``               levels, standard deviation                      12
    ``blur``                hundredths of the longer side, radius           4
    ``occlusion``           percent of the image under a grey square        10
    ``rotation``            tenths of a degree, either way                  100
    ======================  ==============================================  ==================

    Args:
        seeds: draws seeds, such as :func:`compd.testing.seeds`; what was done to them is undone.
        kinds: some of the above, the simplest first.
        most: how far some of them may go, in place of the above.

    Raises:
        CompdError: if a kind is unknown, none is named, or an amount is below 1.
    """
    far = {name: change.most for name, change in CAMERA.items()} | dict(most or {})
    for name in (*kinds, *far):
        if name not in CAMERA:
            raise unknown("kind", name, CAMERA)
    if not kinds or min(far.values()) < 1:
        raise SettingError("kinds, each with an amount >= 1", kinds=kinds, most=most)
    return _shifted(seeds, tuple(kinds), tuple(far[name] for name in kinds))


@st.composite
def _shifted(
    draw: st.DrawFn,
    seeds: st.SearchStrategy[Candidate],
    kinds: tuple[str, ...],
    most: tuple[int, ...],
) -> Candidate:
    number = draw(st.integers(0, len(kinds) - 1))
    change = CAMERA[kinds[number]]
    amount = draw(st.integers(-most[number] if change.signed else 0, most[number]))
    detail = draw(st.integers(0, DETAIL - 1))
    candidate = draw(seeds)
    if amount == 0:
        return candidate.moved(candidate.seed, "", eps=None)
    image = change.apply(candidate.seed, amount, detail)
    return candidate.moved(image, f"{kinds[number]} {amount:+d} {change.unit}", eps=None)
