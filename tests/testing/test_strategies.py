"""What the strategies draw, what is simplest, and what they print."""

from __future__ import annotations

import pytest
import torch
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.vendor.pretty import pretty
from tiny import tiny_original, tiny_pair, tiny_spec, tiny_splits

from compd.compress import Prune
from compd.corpus import Corpus
from compd.data import Split
from compd.images import distances, png_round_trip
from compd.pair import Pair
from compd.shifts.camera import CAMERA
from compd.testing import Candidate, corpus_images, perturbed, seeds, shifted
from compd.testing.patches import Patch

QUICK = settings(max_examples=30)
BOUNDS = st.sampled_from([(1, "linf"), (8, "linf"), (255, "linf"), (5, "l2"), (300, "l2")])


def on_the_lattice(candidate: Candidate) -> None:
    assert candidate.image.dtype == torch.uint8
    assert candidate.image.shape == candidate.seed.shape
    assert torch.equal(png_round_trip(candidate.image[None])[0], candidate.image)


def simplest(strategy: st.SearchStrategy[Candidate]) -> Candidate:
    return find(strategy, lambda _: True, settings=QUICK)


def nearest(strategy: st.SearchStrategy[Candidate]) -> Candidate:
    return find(strategy, lambda one: one.changed > 0, settings=settings(max_examples=200))


@QUICK
@given(seeds(tiny_splits().seeds))
def test_seeds_are_rows_of_the_split(candidate):
    row = int(candidate.row.removeprefix("test[").removesuffix("]"))
    assert torch.equal(candidate.image, tiny_splits().dataset.test.images[row])
    assert candidate.true_label == int(tiny_splits().dataset.test.labels[row])
    assert candidate.changed == 0


def test_seeds_of_splits_and_of_a_data_set_are_the_seed_rows():
    splits = tiny_splits()
    for source in (splits, splits.dataset, splits.seeds):
        assert simplest(seeds(source)).row == "test[0]"


def test_seeds_that_a_pair_disagrees_on_are_left_out(rough_pair, agreement, refuses):
    wrong = {f"test[{i}]" for i in (~agreement).nonzero()[:, 0].tolist()}
    with pytest.raises(NoSuchExample):
        find(seeds(tiny_splits(), agree=rough_pair), lambda one: one.row in wrong, settings=QUICK)
    assert find(seeds(tiny_splits()), lambda one: one.row in wrong).row in wrong
    with refuses("limit=0"):
        seeds(tiny_splits(), limit=0)


@pytest.mark.slow
def test_what_is_printed_says_where_from_and_how_far_and_shows_no_pixels():
    clean = simplest(seeds(tiny_splits()))
    assert repr(clean) == f"<unchanged test[0] of tiny, {clean.sha256[:12]}>"
    moved = nearest(perturbed(seeds(tiny_splits())))
    assert repr(moved).startswith("<1 of 256 pixels of test[0] of tiny, Linf 1/255, L2 per pixel")
    assert moved.sha256[:12] in repr(moved)
    assert pretty(moved) == repr(moved)  # what a falsifying example shows


@QUICK
@given(st.data(), BOUNDS)
def test_perturbed_images_keep_to_the_bound(data, bound):
    eps, norm = bound
    candidate = data.draw(perturbed(seeds(tiny_splits()), eps=eps, norm=norm))
    on_the_lattice(candidate)
    delta = candidate.image.double() - candidate.seed.double()
    assert float(delta.abs().max() if norm == "linf" else delta.norm()) <= eps


@settings(max_examples=10)
@given(st.data(), BOUNDS)
def test_so_they_do_towards_a_pair(data, bound):
    eps, norm = bound
    strategy = perturbed(seeds(tiny_splits()), eps=eps, norm=norm, towards=tiny_pair(), patches=1)
    candidate = data.draw(strategy)
    on_the_lattice(candidate)
    delta = candidate.image.double() - candidate.seed.double()
    assert float(delta.abs().max() if norm == "linf" else delta.norm()) <= eps


@pytest.mark.slow
def test_the_seed_itself_is_simplest():
    for strategy in (
        perturbed(seeds(tiny_splits())),
        perturbed(seeds(tiny_splits()), norm="l2", eps=64),
        perturbed(seeds(tiny_splits()), towards=tiny_pair()),
        shifted(seeds(tiny_splits())),
    ):
        least = simplest(strategy)
        assert (least.changed, least.row) == (0, "test[0]")


@pytest.mark.slow
def test_one_value_of_one_pixel_by_one_level_is_nearly_so():
    least = nearest(perturbed(seeds(tiny_splits()), eps=32))
    assert (least.changed, int(least.distances.linf), least.row) == (1, 1, "test[0]")


def test_shrinking_leaves_the_patches_that_matter():
    """A condition on one place: of up to four patches one is left, no stronger than it must be."""

    def brighter(candidate: Candidate) -> bool:
        corner = candidate.image[:, :4, :4].float() - candidate.seed[:, :4, :4].float()
        return bool(corner.mean() >= 5)

    least = find(
        perturbed(seeds(tiny_splits()), eps=32), brighter, settings=settings(max_examples=300)
    )
    assert least.how.count("square") + least.how.count("wave") + least.how.count("grain") == 1
    assert int(least.distances.linf) <= 10


@given(
    st.builds(
        Patch,
        st.just(1000),
        st.sampled_from(["square", "wave", "grain"]),
        st.integers(0, 63),
        st.tuples(st.integers(0, 63), st.integers(0, 63)),
        st.integers(0, 7),
    ),
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
)
@QUICK
def test_patterns_fit_any_size(patch, shape):
    pattern = patch.pattern(torch.Size(shape))
    assert tuple(pattern.shape) == shape
    assert float(pattern.abs().max()) <= 1


@pytest.mark.parametrize("kind", CAMERA)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_shift_of_nothing_changes_nothing_and_the_most_changes_something(
    kind, channels, make_images
):
    (image,) = make_images(1, channels=channels, height=12, width=20)
    before = image.clone()
    shift = CAMERA[kind]
    assert torch.equal(shift.apply(image, 0, 77), image)
    for amount in {shift.most, -shift.most if shift.signed else 1}:
        shifted_image = shift.apply(image, amount, 77)
        assert shifted_image.shape == image.shape
        assert shifted_image.dtype == torch.uint8
        assert not torch.equal(shifted_image, image)
    assert torch.equal(image, before)


@QUICK
@given(st.data(), st.sampled_from(sorted(CAMERA)))
def test_shifts_stay_in_their_ranges(data, kind):
    candidate = data.draw(shifted(seeds(tiny_splits()), [kind], most={kind: 3}))
    on_the_lattice(candidate)
    assert candidate.how == "" or -3 <= int(candidate.how.split()[1]) <= 3


def test_images_of_a_corpus_come_with_their_seeds(project, refuses, tmp_path):
    corpus = Corpus(project / "found")
    stored = {record.sha256: record for record in corpus}

    @QUICK
    @given(corpus_images(project / "found"))
    def each(candidate):
        record = stored[candidate.sha256]
        assert candidate.seed_sha256 == record.seed_sha256
        far = distances(candidate.image[None], candidate.seed[None])
        assert int(far.linf[0]) == record.linf

    each()
    with refuses("nowhere"):
        corpus_images(tmp_path / "nowhere")


def test_what_makes_no_sense_is_refused(refuses):
    clean = seeds(tiny_splits())
    with refuses("eps=0"):
        perturbed(clean, eps=0)
    with refuses("norm='l1'"):
        perturbed(clean, norm="l1")
    with refuses("patches=0"):
        perturbed(clean, patches=0)
    with refuses("kind='fog'"):
        shifted(clean, ["fog"])
    with refuses("most={'blur': 0}"):
        shifted(clean, most={"blur": 0})
    blind = Pair(
        tiny_spec(Prune()),
        tiny_original(),
        None,
        device=torch.device("cpu"),
        deployed=tiny_pair().deployed,
    )
    with refuses("shadow"):
        perturbed(clean, towards=blind)


def test_examples_do_not_depend_on_what_was_drawn_before():
    def drawn() -> list[str]:
        seen: list[str] = []

        @settings(max_examples=20, phases=[Phase.generate], derandomize=True, database=None)
        @given(perturbed(seeds(tiny_splits()), eps=16, towards=tiny_pair(), patches=2))
        def each(candidate):
            seen.append(candidate.sha256)

        each()
        return seen

    assert drawn() == drawn()


WIDE = torch.arange(2 * 3 * 6 * 14, dtype=torch.int64).remainder(251).to(torch.uint8)


@pytest.mark.parametrize("shape", [(2, 3, 6, 14), (2, 3, 14, 6), (6, 1, 6, 14)])
def test_images_that_are_not_square(shape):
    images = WIDE.reshape(shape)
    labels = torch.zeros(len(images), dtype=torch.int64)
    rows = Split("wide", "seeds", "all", 0, images, labels, torch.arange(len(images)), False)

    @QUICK
    @given(perturbed(seeds(rows), eps=20), shifted(seeds(rows)))
    def draw(one, other):
        on_the_lattice(one)
        on_the_lattice(other)
        assert one.image.shape == other.image.shape == shape[1:]

    draw()
