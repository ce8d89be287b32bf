"""Coverage as feedback: what counts as new, whom it is credited to, and who gets energy for it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compd.errors import CompdError
from compd.search.feedback import KINDS, CoverageMap, activity, energies

WIDTHS = (3, 5)  # units of two layers


@st.composite
def activities(draw, most=6):
    """Which units of two layers each of some images activates, in two models."""
    count = draw(st.integers(1, most))
    return tuple(
        [
            torch.tensor(
                draw(st.lists(st.booleans(), min_size=count * width, max_size=count * width))
            ).view(count, width)
            for width in WIDTHS
        ]
        for _ in ("original", "shadow")
    )


def lit_by(original, shadow, i):
    """The units that image ``i`` lights, as names."""
    return {
        (layer, unit, way)
        for layer, (o, s) in enumerate(zip(original, shadow, strict=True))
        for unit in range(o.shape[1])
        for way in ("original only", "shadow only")
        if bool(o[i, unit]) != bool(s[i, unit]) and bool(o[i, unit]) == (way == "original only")
    }


@given(st.lists(activities(), min_size=1, max_size=4), st.sampled_from(["neuron", "channel"]))
def test_a_unit_counts_once_and_for_the_first_image_that_lit_it(batches, kind):
    coverage, seen = CoverageMap(kind), set()
    for original, shadow in batches:
        fresh = coverage.light(original, shadow)
        for i, count in enumerate(fresh.tolist()):
            lit = lit_by(original, shadow, i)
            assert count == len(lit - seen)
            seen |= lit
        assert coverage.count == len(seen)
        assert not coverage.light(original, shadow).any()


@given(activities(), st.sampled_from(KINDS), st.data())
def test_where_batches_are_cut_changes_no_credit(both, kind, data):
    original, shadow = both
    cut = data.draw(st.integers(0, len(original[0])))
    whole = CoverageMap(kind).light(original, shadow)
    coverage = CoverageMap(kind)
    parts = [
        coverage.light([o[rows] for o in original], [s[rows] for s in shadow])
        for rows in (slice(cut), slice(cut, None))
        if len(original[0][rows])
    ]
    assert torch.equal(torch.cat(parts), whole)


def test_models_that_agree_light_nothing():
    same = [torch.ones(2, width, dtype=torch.bool) for width in WIDTHS]
    for kind in KINDS:
        coverage = CoverageMap(kind)
        assert coverage.light(same, same).tolist() == [0, 0]
        assert coverage.count == 0


@pytest.mark.parametrize(
    ("first", "second", "new"),
    [(64, 33, 0), (64, 32, 1), (32, 17, 0), (32, 40, 1), (16, 9, 0), (1, 2, 1), (1, 0, 0)],
)
def test_a_layer_counts_the_power_of_two_of_the_share(first, second, new):
    """Of 64 neurons, ``first`` differ in one image and ``second`` in the next."""
    rows = torch.arange(64) < torch.tensor([[first], [second]])
    fresh = CoverageMap("layer").light([rows], [torch.zeros_like(rows)])
    assert fresh.tolist() == [1, new]


def test_the_two_ways_to_differ_are_two_units():
    on, off = torch.ones(1, 4, dtype=torch.bool), torch.zeros(1, 4, dtype=torch.bool)
    for kind, units in (("neuron", 4), ("channel", 4), ("layer", 1)):
        coverage = CoverageMap(kind)
        assert coverage.light([on], [off]).tolist() == [units]
        assert coverage.light([off], [on]).tolist() == [units]
        assert coverage.count == 2 * units


def test_the_smallest_shares_fall_into_one_bucket():
    wide = torch.zeros(3, 1 << 17, dtype=torch.bool)
    wide[0, 0] = wide[1, :2] = wide[2, :32] = True
    assert CoverageMap("layer").light([wide], [torch.zeros_like(wide)]).tolist() == [1, 0, 1]


def test_a_channel_is_active_if_its_mean_is():
    before = [torch.tensor([[[[3.0, -1.0]], [[1.0, -2.0]]]]), torch.tensor([[1.0, -1.0]])]
    assert [a.tolist() for a in activity("channel", before)] == [[[True, False]], [[True, False]]]
    neurons = activity("neuron", before)
    assert neurons[0].tolist() == [[True, False, True, False]]
    assert neurons[1].tolist() == [[True, False]]


fresh_counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=40).map(torch.tensor)


@given(fresh_counts, st.integers(0, 500), st.integers(0, 60))
def test_energies_keep_within_the_budget_and_follow_what_was_lit(fresh, budget, most):
    given_ = energies(fresh, budget, most)
    assert given_.dtype == torch.int64
    assert int(given_.sum()) <= budget
    assert (given_ >= 0).all()
    assert (given_ <= most).all()
    order = torch.argsort(fresh, stable=True)
    assert (given_[order].diff()[fresh[order].diff() > 0] >= 0).all()  # more lit, no less energy


@given(st.integers(1, 30), st.integers(1, 9), st.integers(0, 3))
def test_equals_get_an_equal_share(count, each, lit):
    fresh = torch.full((count,), lit)
    assert energies(fresh, count * each, most=100).tolist() == [each] * count


def test_unknown_kinds_are_refused():
    with pytest.raises(CompdError, match="channel"):
        CoverageMap("chanel")
