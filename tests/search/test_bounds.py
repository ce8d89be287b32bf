import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compd.errors import CompdError
from compd.search import Bound

bounds = st.one_of(
    st.just(Bound()),
    st.integers(1, 255).map(lambda eps: Bound(eps)),
    st.integers(1, 2000).map(lambda eps: Bound(eps, "l2")),
)


def draw(seed, shape=(3, 3, 5, 5), high=256):
    values = np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)
    return torch.from_numpy(values)


def length(change, norm):
    flat = change.double().flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@given(bounds, st.integers(0, 99), st.integers(0, 99), st.integers(1, 256))
def test_clipped_candidates_are_on_the_lattice_and_in_the_ball(bound, a, b, high):
    seeds, images = draw(a), draw(b, high=high)
    clipped = bound.clip(images, seeds)
    assert clipped.dtype == torch.uint8
    change = clipped.short() - seeds.short()
    wanted = images.short() - seeds.short()
    assert (change.sign() * wanted.sign() >= 0).all()
    assert (change.abs() <= wanted.abs()).all()
    if bound.eps is not None:
        assert (length(change, bound.norm) <= bound.eps).all()
        inside = length(wanted, bound.norm) <= bound.eps
        assert torch.equal(clipped[inside], images[inside])
    else:
        assert torch.equal(clipped, images)
    assert torch.equal(bound.clip(clipped, seeds), clipped)


@given(bounds, st.integers(0, 99), st.integers(0, 99))
def test_the_nearest_place_is_in_the_ball_and_not_moved_without_need(bound, a, b):
    seeds, places = draw(a), draw(b).float() * 1.5 - 60
    near = bound.nearest(places, seeds)
    assert ((near >= 0) & (near <= 255)).all()
    if bound.eps is not None:
        assert (length(near - seeds.float(), bound.norm) <= bound.eps * (1 + 1e-5)).all()
    again = bound.nearest(near, seeds)
    assert torch.allclose(again, near, atol=1e-3)


def test_one_level_everywhere_is_thinned_and_not_lost():
    seeds = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    clipped = Bound(10, "l2").clip(seeds + 1, seeds)
    assert 80 <= int((clipped != seeds).sum()) <= 100


def test_fractions_are_rounded():
    seeds = torch.full((1, 1, 1, 2), 100, dtype=torch.uint8)
    clipped = Bound(2).clip(torch.tensor([[[[101.4, 101.6]]]]), seeds)
    assert clipped.flatten().tolist() == [101, 102]


@pytest.mark.parametrize(
    ("eps", "norm"), [(0, "linf"), (-1, "l2"), (256, "linf"), (None, "l2"), (3, "l1")]
)
def test_senseless_bounds_are_refused(eps, norm):
    with pytest.raises(CompdError, match="expected"):
        Bound(eps, norm)
