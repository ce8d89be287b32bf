"""What the strategies without gradients promise, and the moves that they are made of."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Prune, Ptq
from compd.errors import CompdError
from compd.pair import Pair
from compd.pair.evaluation import evaluate
from compd.runtimes import FloatRuntime
from compd.search import Blackbox, Bound, Dflare, Diva, Verdict, fuzz, strategy
from compd.search.judge import verdicts_of
from compd.search.strategies.blackbox import _value
from compd.search.strategies.operators import OPERATORS, box_blur, gaussian_blur, median_blur
from compd.search.strategies.per_seed import Reply, searched_per_seed
from compd.search.strategies.squares import draw_square, side_after, stripes

COARSE = Ptq(weight_bits=4)
SEARCHES = [Blackbox(queries=60), Dflare(queries=60)]

images = st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape)
)
draws = st.integers(0, 2**32).map(np.random.default_rng)


class NoGradients(nn.Module):
    """A shadow, or an original, that nobody may call."""

    def forward(self, x):
        raise AssertionError("a search without gradients asked a model for one")


def blind(pair):
    """The same pair with nothing to differentiate: only what judges is left."""
    pair._shadow = NoGradients()
    pair._original = NoGradients()
    return pair


def findings_of(pair, **how):
    return list(fuzz(pair, tiny_splits().seeds, **how))


def identity(finding):
    return (finding.seed_row, finding.step, finding.sha256, finding.deployed.label)


@pytest.mark.parametrize("config", SEARCHES, ids=str)
@pytest.mark.parametrize("eps", [None, 1, 6])
def test_findings_are_bounded_deviations_and_need_no_gradient(config, eps):
    pair = tiny_pair(COARSE)
    reference, deployed = pair.reference, pair.deployed
    campaign = fuzz(
        blind(pair), tiny_splits().seeds, strategy=config, eps=eps, limit=6, keep="valid"
    )
    found = 0
    for finding in campaign:
        image = finding.image[None]
        assert image.dtype == torch.uint8
        assert finding.linf == (image[0].int() - finding.seed_image.int()).abs().max()
        assert eps is None or finding.linf <= eps
        assert int(reference.run(image).argmax(1)) == finding.seed_label
        if finding.verdict is Verdict.EFFECTIVE:
            found += 1
            assert int(deployed.run(image).argmax(1)) != finding.seed_label
            assert finding.linf > 0
    summary = campaign.summary()
    assert found == summary.images_effective
    assert summary.gradients_per_seed == 0
    assert 0 < summary.forwards_per_seed <= config.queries


def test_without_a_bound_squares_stay_within_the_radius():
    config = Blackbox(queries=40, radius=3)
    found = findings_of(tiny_pair(COARSE), strategy=config, limit=12, keep="valid")
    assert max(finding.linf for finding in found) == 3


@pytest.mark.slow
@pytest.mark.parametrize("config", SEARCHES, ids=str)
def test_draws_depend_on_the_seed_image_and_not_on_its_batch(config):
    results = [
        {
            identity(f)
            for f in findings_of(
                tiny_pair(COARSE, batch=batch), strategy=config, eps=6, limit=10, keep="valid"
            )
        }
        for batch in (1, 7, 64, 7)
    ]
    assert results[0] == results[1] == results[2] == results[3]
    assert results[0]


@pytest.mark.parametrize("config", SEARCHES, ids=str)
def test_another_random_seed_takes_another_way(config):
    ways = [
        {
            f.sha256
            for f in findings_of(
                tiny_pair(COARSE), strategy=config, random_seed=seed, limit=4, keep="valid"
            )
            if f.linf
        }
        for seed in (0, 1)
    ]
    assert ways[0] != ways[1]


@pytest.mark.parametrize("config", SEARCHES, ids=str)
def test_identical_models_never_deviate(config):
    pair = Pair(
        tiny_spec(Prune()),
        tiny_original(),
        tiny_original(),
        device=CPU,
        deployed=FloatRuntime(tiny_original().requires_grad_(False), CPU),
    )
    campaign = fuzz(blind(pair), tiny_splits().seeds, strategy=config, limit=8, eps=8)
    assert list(campaign) == []
    assert campaign.summary().forwards_per_seed == config.queries


def test_blackbox_stops_at_the_first_deviation_unless_it_is_to_be_severe():
    seeds = {"strategy": Blackbox(queries=80), "eps": 8, "limit": 24, "random_seed": 3}
    first = {f.seed_row: f for f in findings_of(tiny_pair(COARSE), **seeds)}
    assert first
    worst = {f.seed_row: f for f in findings_of(tiny_pair(COARSE), goal="severe", **seeds)}
    # the same way up to the first deviation, and on from there
    assert worst.keys() == first.keys()
    assert all(worst[row].severity >= f.severity for row, f in first.items())
    assert sum(f.severity for f in worst.values()) > 1.2 * sum(f.severity for f in first.values())


class Scripted:
    """A task of plain images, two classes, and no models."""

    def __init__(self, count):
        self.images = torch.zeros(count, 1, 2, 2, dtype=torch.uint8)
        self.bound = Bound()
        self.labels = torch.zeros(count, dtype=torch.int64)
        self.pair = type("P", (), {"classes": ("a", "b")})

    def draws(self, step):
        return [np.random.default_rng(i) for i in range(len(self.images))]


def answered(task, proposal):
    logits = torch.stack([torch.tensor([1.0, 0.0])] * len(proposal.images))
    return verdicts_of(proposal.images, logits, logits, task.labels[proposal.seeds])


def test_a_walk_is_asked_within_its_budget_and_told_of_its_own_candidates_alone():
    told = {}

    def walk(seed):
        me = len(told)
        told[me] = 0
        while True:
            replies = yield [seed.image + me] * (me + 1)
            told[me] += len(replies)
            if me == 2:
                return

    task = Scripted(4)
    search = searched_per_seed(task, walk, 5)
    proposal = next(search)
    sizes = []
    while True:
        sizes.append(len(proposal.images))
        for image, seed in zip(proposal.images, proposal.seeds.tolist(), strict=True):
            assert (image == seed).all()
        try:
            proposal = search.send(answered(task, proposal))
        except StopIteration:
            break
    assert sizes == [1 + 2 + 3 + 4, 1 + 2 + 1, 1 + 1, 1, 1]
    assert told == {0: 4, 1: 4, 2: 3, 3: 4}  # nobody is woken for what came of its last query


@given(images, draws, st.sampled_from(OPERATORS))
def test_operators_stay_on_the_lattice(image, draw, operator):
    before = image.copy()
    mutant = operator(image, draw)
    assert mutant.dtype == np.uint8
    assert mutant.shape == image.shape
    assert np.array_equal(image, before)


@given(st.integers(0, 255), draws, st.sampled_from([box_blur, gaussian_blur, median_blur]))
def test_blurs_leave_a_plain_picture_plain(value, draw, blur):
    image = np.full((3, 6, 5), value, np.uint8)
    assert np.array_equal(blur(image, draw), image)


@given(images, draws)
def test_a_median_of_three_is_the_median(image, draw):
    class Three:
        def choice(self, sides):
            assert 3 in sides
            return 3

    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    _, height, width = image.shape
    stack = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    assert np.array_equal(median_blur(image, Three()), np.median(stack, axis=0))


@given(images, draws, st.integers(0, 3000), st.floats(0.01, 1), st.integers(1, 255))
def test_squares_lie_at_the_edges_of_the_box_and_change_nothing_else(
    image, draw, queries, area, eps
):
    wide = image.astype(int)
    low, high = (edge.clip(0, 255).astype(np.uint8) for edge in (wide - eps, wide + eps))
    side = side_after(queries, area, image.shape)
    assert 1 <= side <= min(image.shape[1:])
    square = draw_square(draw, side, image.shape)
    moved = square.on(image, low, high)
    assert moved.dtype == np.uint8
    assert moved.shape == image.shape
    inside = np.zeros(image.shape, bool)
    inside[:, square.top : square.top + side, square.left : square.left + side] = True
    assert inside.sum() == image.shape[0] * side * side
    assert np.array_equal(moved[~inside], image[~inside])
    assert (((moved == low) | (moved == high)) | ~inside).all()
    mirrored = square.mirrored().on(moved, low, high)
    assert np.array_equal(mirrored == high, np.where(inside, moved == low, image == high))
    assert (((mirrored == low) | (mirrored == high)) | ~inside).all()


@given(images, draws, st.integers(1, 255))
def test_stripes_are_columns_at_the_edges_of_the_box(image, draw, eps):
    wide = image.astype(int)
    low, high = (edge.clip(0, 255).astype(np.uint8) for edge in (wide - eps, wide + eps))
    lines = stripes(draw, low, high)
    assert lines.dtype == np.uint8
    up = lines == high
    assert np.array_equal(lines == low, ~up)
    assert (up == up[:, :1]).all()


def test_the_original_alone_leads_the_way_until_it_is_nearly_undecided():
    def value(original, deployed):
        return _value(Reply(False, True, 0.0, (0.0, 0.0), (original, deployed), ()))

    assert value(9.0, 9.0) < value(9.1, 0.0)  # far: the deployed model's lead is noise
    assert value(3.0, 0.5) < value(2.0, 2.0)  # near: it is half of the matter
    assert value(3.0, 90.0) < value(9.0, 0.0)  # and near is better than far


def test_squares_shrink():
    sides = [side_after(queries, 0.8, (3, 32, 32)) for queries in (0, 11, 51, 201, 5000)]
    assert sides == sorted(sides, reverse=True)
    assert len(set(sides)) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: Blackbox(queries=0),
        lambda: Blackbox(area=0.0),
        lambda: Blackbox(area=1.5),
        lambda: Blackbox(radius=0),
        lambda: Dflare(queries=0),
        lambda: Dflare(new_state=0.0),
        lambda: strategy("diva", queries=5),
    ],
)
def test_senseless_settings_are_refused(make):
    with pytest.raises(CompdError, match="expected"):
        make()


class Flat(nn.Module):
    """The tiny original, but with no slope where an image is brighter on the left."""

    def __init__(self):
        super().__init__()
        self.model = tiny_original()

    def forward(self, x):
        flat = x[:, :, :, :8].mean((1, 2, 3)) > x[:, :, :, 8:].mean((1, 2, 3))
        logits = self.model(x)
        return torch.where(flat[:, None], logits.detach() + 0 * logits, logits)


def test_blackbox_takes_over_seeds_without_a_gradient_and_says_so():
    tiny = tiny_pair(COARSE)
    pair = Pair(tiny_spec(COARSE), Flat(), Flat(), device=CPU, deployed=tiny.deployed)
    campaign = fuzz(pair, tiny_splits().seeds, eps=8, limit=20)
    found = {f.seed_row for f in campaign}
    summary = campaign.summary()
    (note,) = summary.notes
    assert "zero or non-finite gradient" in note
    assert "blackbox took over" in note
    flat = tiny_splits().seeds.images.float()
    bright = flat[:, :, :, :8].mean((1, 2, 3)) > flat[:, :, :, 8:].mean((1, 2, 3))
    rows = {tiny_splits().seeds.row(i) for i in bright.nonzero()[:, 0].tolist()}
    assert found & rows
    assert found - rows
    # published searches are left as they are, but it is said
    diva = fuzz(pair, tiny_splits().seeds, strategy=Diva(steps=2), eps=8, limit=20)
    list(diva)
    assert "zero or non-finite gradient in diva" in diva.summary().notes[0]


def test_non_finite_gradients_are_zero_and_reported():
    pair = tiny_pair()
    next(pair.original.parameters()).data.fill_(float("nan"))
    honest = tiny_pair()
    pair.reference = honest.reference  # answers are fine: only the gradient is not
    campaign = fuzz(pair, tiny_splits().seeds, strategy=Diva(steps=1), limit=4)
    list(campaign)
    assert campaign.summary().notes[0].startswith("4 seeds had a zero or non-finite gradient")


@pytest.mark.slow
def test_a_pair_without_a_shadow_is_searched_without_gradients():
    tiny = tiny_pair(COARSE)
    pair = Pair(tiny_spec(COARSE), tiny_original(), None, device=CPU, deployed=tiny.deployed)
    campaign = fuzz(pair, tiny_splits().seeds, eps=8, limit=16)
    assert list(campaign)
    assert campaign.summary().notes == (
        "blackbox instead of boundary: the pair has no shadow to differentiate",
    )
    assert campaign.summary().gradients_per_seed == 0
    assert set(pair.hashes) == {"original", "deployed"}
    seen = evaluate(pair, tiny_splits().test(), shadow=None)
    assert seen.accuracy(seen.shadow) is None
    with pytest.raises(CompdError, match="pair with a shadow"):
        pair.shadow  # noqa: B018


def without_shadow():
    images = tiny_splits().seeds.images
    original = tiny_original()
    return Pair.from_modules(original, lambda x: original(x).round(decimals=1), example=images[:1])


def test_queries_are_those_of_what_takes_over():
    campaign = fuzz(without_shadow(), tiny_splits().seeds.images[:4], limit=4, queries=30)
    list(campaign)
    assert campaign.settings.strategy == Blackbox(queries=30)
    assert campaign.summary().forwards_per_seed <= 30
    assert not any("queries" in note for note in campaign.summary().notes)


def test_queries_that_nothing_takes_are_named():
    campaign = fuzz(tiny_pair(COARSE), tiny_splits().seeds.images[:8], queries=30, eps=8)
    list(campaign)
    (note,) = [note for note in campaign.summary().notes if "queries" in note]
    assert note == "queries=30 is for blackbox, which had nothing to take over from boundary"
    with pytest.raises(CompdError, match="queries=0"):
        fuzz(tiny_pair(COARSE), tiny_splits().seeds.images[:8], queries=0)
