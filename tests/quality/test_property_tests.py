"""Does Hypothesis find a planted defect, and how near to the seed does shrinking get?

The yardstick is `compd corpus minimise`, which knows gradients and makes the same finding smaller.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from test_planted_defects import BREAKAGES, broken_pair, three_bit_weights
from tiny import tiny_splits

from compd.corpus import Corpus, minimise
from compd.testing import assert_agrees, perturbed, seeds

EXAMPLES = 200


def search(pair, corpus, **how):
    """Run a property test; the failing candidates in order, and how many calls were made."""
    failing, calls = [], []

    @settings(max_examples=EXAMPLES)
    @given(perturbed(seeds(tiny_splits(), agree=pair), eps=32, **how))
    def property_test(candidate):
        calls.append(candidate)
        try:
            assert_agrees(pair, candidate, corpus=corpus)
        except AssertionError:
            failing.append((len(calls), candidate))
            raise

    with pytest.raises(AssertionError):
        property_test()
    return failing


def distance(candidate):
    return float(candidate.distances.l2), int(candidate.distances.linf)


@pytest.mark.slow
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_towards_the_pair_it_is_found_in_200_examples_and_shrunk_as_minimise_does(
    breakage, tmp_path
):
    pair = broken_pair(breakage)
    failing = search(pair, tmp_path / "small", towards=pair)
    assert failing[0][0] <= EXAMPLES
    last = failing[-1][1]
    # what minimisation makes of the first finding on the same seed, and of the smallest one
    first = next(one for _, one in failing if one.seed_sha256 == last.seed_sha256)
    with pytest.raises(AssertionError):
        assert_agrees(pair, first, corpus=tmp_path / "first")
    for name in ("first", "small"):
        target = Corpus(tmp_path / f"{name}-min", create=True)
        minimise(Corpus(tmp_path / name), target, pair)
        (least,) = target
        l2, linf = distance(last)
        assert l2 <= 2 * least.l2
        assert linf <= 2 * least.linf


@pytest.mark.parametrize("breakage", [three_bit_weights])
def test_patches_alone_find_what_is_broken_badly(breakage, tmp_path):
    failing = search(broken_pair(breakage), None)
    assert failing[0][0] <= EXAMPLES
    first, last = failing[0][1], failing[-1][1]
    assert distance(last)[0] <= distance(first)[0]


def test_where_nothing_is_broken_nothing_is_found():
    pair = broken_pair(lambda net: None)

    @settings(max_examples=50)
    @given(perturbed(seeds(tiny_splits()), eps=32, towards=pair, patches=2))
    def property_test(candidate):
        assert_agrees(pair, candidate)

    property_test()
