"""The boundary walk, on linear models where both leads are known, and on a tiny network."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits
from torch import nn

from compd.compress import Prune, Ptq
from compd.control import Control
from compd.corpus import Corpus, collect
from compd.errors import CompdError
from compd.images import pixel_hash
from compd.pair import Pair
from compd.rng import seed_key
from compd.runtimes import Runtime
from compd.search import Bound, Boundary, Judge, TargetClass, fuzz
from compd.search.strategies import Task
from compd.search.strategies.boundary import search_boundary
from compd.search.strategies.walk import BoundaryWalk

COARSE = Ptq(weight_bits=4)
SHAPE = (3, 8, 8)
DRAWN = torch.Generator().manual_seed(5)
WEIGHT = torch.randn(3, 3 * 8 * 8, generator=DRAWN)
OTHER = WEIGHT + 0.1 * torch.randn(WEIGHT.shape, generator=DRAWN)
# Noise, and in it twice each class, about twenty levels from both others.
SEEDS = torch.randint(90, 160, (6, *SHAPE), generator=DRAWN)
SEEDS += (
    20
    * (WEIGHT - WEIGHT.roll(1, 0) / 2 - WEIGHT.roll(2, 0) / 2)
    .sign()
    .view(3, *SHAPE)
    .repeat(2, 1, 1, 1)
    .long()
)
SEEDS = SEEDS.to(torch.uint8)
BOUNDS = st.one_of(
    st.integers(1, 30).map(Bound), st.integers(20, 300).map(lambda eps: Bound(eps, "l2"))
)


class Linear(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x):
        return (x.flatten(1) - 0.5) @ self.weight.T


@pytest.mark.parametrize("goal", ["first", "severe"])
def test_progress_is_of_the_whole_walk(goal: str) -> None:
    told: list[float] = []
    campaign = fuzz(
        tiny_pair(COARSE, batch=20),
        tiny_splits().seeds,
        limit=20,
        eps=24,
        goal=goal,
        strategy=Boundary(steps=8, climbs=4),
        control=Control(lambda progress: told.append(progress.done / progress.total)),
    )
    looks = sum(1 for _ in campaign.steps())
    assert told == sorted(told)
    assert told[-1] == 1
    if goal == "severe":  # neither there long before the end, nor nowhere
        assert told[looks // 2] < 0.9
        assert 0.5 < told[looks - 6] < 1


def linear_task(shadow=WEIGHT, *, bound=Bound(), random_seed=0, **how):  # noqa: B008
    """Six seeds of noise, and two linear models."""
    pair = Pair(tiny_spec(Prune()), Linear(WEIGHT.clone()), Linear(shadow.clone()), device=CPU)
    keys = [seed_key(pixel_hash(image)) for image in SEEDS]
    labels = pair.reference.run(SEEDS).argmax(1)
    return Task(pair, SEEDS, labels, bound, keys, random_seed, **how)


def judge_of(task):
    """Takes margins over the class that the task is after, if there is one."""
    target = None if task.target is None else TargetClass(task.pair.classes[task.target])
    return Judge(task.pair, objective=target)


def rounds(config, task):
    """Each proposal of the walk with its judgement."""
    judge = judge_of(task)
    search = search_boundary(config, task)
    seen = []
    judgement = None
    while True:
        try:
            proposal = next(search) if judgement is None else search.send(judgement)
        except StopIteration:
            return seen
        judgement = judge.evaluate(proposal.images, task.labels[proposal.seeds])
        seen.append((proposal, judgement))


def nearest(task, seen):
    """The least ``|o + d|`` of each seed's candidates, as a share of what it had to begin with."""
    judgement = judge_of(task).evaluate(task.images, task.labels)
    start = judgement.original_logit_margin + judgement.deployed_logit_margin
    least = torch.full((len(task.images),), float("inf"))
    for proposal, judgement in seen:
        value = (judgement.original_logit_margin + judgement.deployed_logit_margin).abs()
        least = least.scatter_reduce(0, proposal.seeds, value, "amin")
    return least / start


def test_it_reaches_where_both_models_are_undecided():
    task = linear_task()  # identical models: nothing to find, so the walk goes on
    seen = rounds(Boundary(steps=4), task)
    assert (nearest(task, seen) < 0.01).all()


@pytest.mark.parametrize("target", [0, 1, 2])
def test_with_a_flip_it_goes_to_the_boundary_with_that_class(target):
    task = linear_task(target=target)
    others = (task.labels != target).nonzero()[:, 0]
    seen = rounds(Boundary(steps=4), task)
    assert len(others)
    assert (nearest(task, seen)[others] < 0.01).all()


def test_models_that_part_are_told_apart_for_every_seed():
    task = linear_task(OTHER)
    seen = rounds(Boundary(), task)
    found = torch.cat([proposal.seeds[j.effective] for proposal, j in seen])
    assert sorted(found.tolist()) == list(range(6))  # each once: a seed that deviates is left alone


@given(BOUNDS, st.integers(0, 2**63 - 1), st.sampled_from(["first", "severe"]))
@settings(max_examples=20)
def test_proposals_are_in_the_bound_before_anyone_clips_them(bound, random_seed, goal):
    task = linear_task(OTHER, bound=bound, random_seed=random_seed, goal=goal)
    for proposal, _ in rounds(Boundary(steps=3, climbs=2), task):
        assert proposal.images.dtype == torch.uint8
        assert torch.equal(task.clip(proposal.images, proposal.seeds), proposal.images)


@pytest.mark.parametrize("patience", [1, 4])
def test_a_seed_that_comes_no_nearer_is_given_up(patience):
    task = linear_task(bound=Bound(1))  # the corner of the box, one step away, is far from 0
    rounds(Boundary(steps=20, patience=patience), task)
    assert (task.steps <= patience + 3).all()
    assert (task.steps > patience).all()


def test_each_trial_rounds_otherwise_and_right_on_average():
    walk = BoundaryWalk(linear_task(), reach=3, patience=8)
    seeds = torch.arange(6)
    places = SEEDS.flatten(1).float() + 0.3
    drawn = torch.stack([walk._dithered(places, seeds).flatten(1) for _ in range(100)])
    change = drawn.float() - SEEDS.flatten(1)  # (100, 6, D)
    assert set(change.flatten().tolist()) == {0.0, 1.0}
    assert (change.mean(0) - 0.3).abs().max() < 0.05  # each value, not only on average
    for trial in range(1, 100):
        assert not torch.equal(change[trial], change[0])
    assert not torch.equal(change[0, 0], change[0, 1])  # seeds do not share their dithers


def test_same_random_seed_same_proposals():
    runs = [rounds(Boundary(steps=3), linear_task(OTHER, random_seed=seed)) for seed in (7, 7, 8)]
    images = [[pixel_hash(i) for proposal, _ in seen for i in proposal.images] for seen in runs]
    assert images[0] == images[1]
    assert images[0] != images[2]


@pytest.mark.parametrize("goal", ["first", "severe"])
def test_the_size_of_a_batch_changes_nothing(goal):
    found = [
        {
            (f.seed_row, f.step, f.sha256, f.severity)
            for f in fuzz(
                tiny_pair(COARSE, batch=batch),
                tiny_splits().seeds,
                strategy=Boundary(steps=4, climbs=2),
                goal=goal,
                eps=8,
                limit=10,
            )
        }
        for batch in (1, 7, 64)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]


@pytest.mark.parametrize("random_seed", [1, 2, 3])
def test_severe_finds_no_less_and_nothing_milder(random_seed):
    first, severe = (
        {
            f.seed_row: f
            for f in fuzz(
                tiny_pair(COARSE),
                tiny_splits().seeds,
                strategy=Boundary(steps=5, climbs=3),
                goal=goal,
                eps=8,
                limit=12,
                random_seed=random_seed,
            )
        }
        for goal in ("first", "severe")
    )
    assert first
    assert severe.keys() == first.keys()
    assert all(severe[row].severity >= finding.severity for row, finding in first.items())


class Broken(nn.Module):
    """A model that answers nothing but NaN."""

    def forward(self, x):
        return x.flatten(1)[:, :3] * float("nan")


@pytest.mark.parametrize("sure", [0.02, 0.05])
def test_a_climb_ends_where_both_models_are_sure(sure):
    walked, whole = (
        fuzz(
            tiny_pair(COARSE),
            tiny_splits().seeds,
            strategy=Boundary(steps=5, climbs=3, severe=0, sure=most),
            goal="severe",
            eps=24,
            limit=12,
        )
        for most in (sure, 2)
    )
    found, best = ({f.seed_row: f.severity for f in search} for search in (walked, whole))
    assert found.keys() == best.keys()
    ended = [row for row, severity in found.items() if severity >= sure]
    assert ended
    # Others go on as if there were no end.
    assert all(found[row] == best[row] for row in found.keys() - set(ended))
    assert {row for row, severity in best.items() if severity >= sure} == set(ended)
    ours, all_of_it = walked.summary(), whole.summary()
    assert ours.gradients_per_seed < all_of_it.gradients_per_seed
    assert ours.forwards_per_seed < all_of_it.forwards_per_seed


def test_a_shadow_that_answers_nan_leads_nowhere():
    """Its candidates stay where the seeds are, but for the dither; blackbox is told."""
    task = linear_task()
    task.pair._shadow = Broken()
    for proposal, _ in rounds(Boundary(steps=2), task):
        change = proposal.images.short() - task.images[proposal.seeds].short()
        assert change.abs().max() <= 1
    assert task.blind.all()


class SometimesNothing(Runtime):
    """A deployed model that answers NaN where an image has changed."""

    engine = "nan"
    content_hash = "0" * 64

    def __init__(self, honest, known):
        self._honest, self._known = honest, {pixel_hash(image) for image in known}

    def run(self, images):
        logits = self._honest.run(images).clone()
        logits[[pixel_hash(image) not in self._known for image in images]] = float("nan")
        return logits


@pytest.mark.parametrize("goal", ["first", "severe"])
def test_no_answer_is_a_deviation_of_no_severity(tmp_path, goal):
    tiny, seeds = tiny_pair(), tiny_splits().seeds
    deployed = SometimesNothing(tiny.reference, seeds.images)
    pair = Pair(tiny_spec(Ptq()), tiny_original(), tiny.shadow, device=CPU, deployed=deployed)
    campaign = fuzz(pair, seeds, strategy=Boundary(steps=1), limit=8, goal=goal, eps=1)
    corpus = Corpus(tmp_path / "corpus", create=True)
    assert sum(collect(campaign, corpus)) > 0
    assert {record.severity for record in corpus} == {0.0}
    assert campaign.summary().severity_max == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"steps": 0},
        {"trials": 0},
        {"patience": 0},
        {"climbs": 0},
        {"stride": 0.0},
        {"reach": -1.0},
        {"climb_stride": float("nan")},
        {"sure": 0.0},
        {"sure": float("nan")},
    ],
)
def test_senseless_settings_are_refused(changes):
    with pytest.raises(CompdError, match="expected"):
        replace(Boundary(), **changes)
