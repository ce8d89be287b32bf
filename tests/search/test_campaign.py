import math
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits

from compd.compress import Prune, Ptq
from compd.control import Control, Progress
from compd.corpus import Corpus, collect
from compd.errors import CompdError
from compd.images import decode_png, encode_png
from compd.logits import answers_of
from compd.models.inputs import fitting
from compd.pair import Pair
from compd.runtimes import FloatRuntime, Runtime
from compd.search import (
    Boundary,
    Campaign,
    Compd,
    Diva,
    SearchSettings,
    TargetClass,
    Verdict,
    flip,
    fuzz,
    strategy,
)
from compd.search.campaign import VALUES
from compd.search.seeds import agreeing

COARSE = Ptq(weight_bits=4)


def findings_of(pair, **settings):
    return list(fuzz(pair, tiny_splits().seeds, **settings))


def identity(finding):
    return (finding.seed_row, finding.step, finding.sha256, finding.deployed.label)


@given(
    config=st.sampled_from([Boundary(steps=5), Compd(), Compd(coverage="neuron"), Diva(steps=6)]),
    eps=st.sampled_from([None, 1, 3, 8]),
    random_seed=st.integers(0, 2**63 - 1),
)
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
def test_every_finding_is_what_it_says(config, eps, random_seed):
    pair = tiny_pair(COARSE)
    campaign = fuzz(
        pair,
        tiny_splits().seeds,
        strategy=config,
        eps=eps,
        random_seed=random_seed,
        limit=8,
        keep="valid",
    )
    effective = 0
    for finding in campaign:
        image = decode_png(encode_png(finding.image))
        assert image.dtype == torch.uint8
        assert torch.equal(image, finding.image)
        distance = (image.int() - finding.seed_image.int()).abs().max()
        assert distance == finding.linf
        assert eps is None or distance <= eps
        original = answers_of(pair.reference.run(image[None]))
        prefer = torch.tensor([finding.seed_label])
        deployed = answers_of(pair.deployed.run(image[None]), prefer)
        assert int(original.label[0]) == finding.seed_label == finding.original.label
        assert int(deployed.label[0]) == finding.deployed.label
        deviates = finding.deployed.label != finding.original.label
        assert deviates == (finding.verdict is Verdict.EFFECTIVE)
        effective += deviates
        margin = min(finding.original.margin, finding.deployed.margin)
        assert finding.severity == (margin if deviates else 0)
    summary = campaign.summary()
    judged = summary.images_effective + summary.images_valid + summary.images_invalid
    assert summary.images_effective == effective
    assert judged == pytest.approx(summary.forwards_per_seed * summary.seeds, abs=0.1)
    if isinstance(config, Boundary):
        assert 0 < summary.gradients_per_seed <= config.steps
    else:
        assert judged == config.steps * summary.seeds
        assert summary.gradients_per_seed == config.steps


@pytest.mark.parametrize("config", [Boundary(), Compd(coverage="neuron"), Diva()], ids=str)
def test_same_seed_same_corpus_byte_for_byte(config, tmp_path):
    for name in ("a", "b"):
        campaign = fuzz(
            tiny_pair(COARSE),
            tiny_splits().seeds,
            strategy=config,
            random_seed=5,
            limit=12,
            keep="valid",
        )
        assert sum(collect(campaign, Corpus(tmp_path / name, create=True))) > 0
    trees = [
        {
            str(path.relative_to(tmp_path / name)): path.read_bytes()
            for path in (tmp_path / name).rglob("*")
            if path.is_file()
        }
        for name in ("a", "b")
    ]
    assert trees[0] == trees[1]
    assert "metadata.jsonl" in trees[0]


@pytest.mark.parametrize("config", [Boundary(steps=3), Compd(coverage="neuron", steps=3)], ids=str)
def test_draws_depend_on_the_seed_image_and_not_on_its_batch(config):
    results = [
        {
            identity(f)
            for f in findings_of(
                tiny_pair(COARSE, batch=batch), strategy=config, limit=20, keep="valid"
            )
        }
        for batch in (1, 7, 20)
    ]
    assert results[0] == results[1] == results[2]


def test_another_random_seed_draws_other_neurons():
    config = Compd(coverage="neuron", steps=3)
    a, b = (
        {
            identity(f)
            for f in findings_of(
                tiny_pair(COARSE), strategy=config, random_seed=seed, limit=20, keep="valid"
            )
        }
        for seed in (0, 1)
    )
    assert a != b


def test_identical_models_never_deviate():
    original = tiny_original()
    pair = Pair(
        tiny_spec(Prune()),
        original,
        tiny_original(),
        device=CPU,
        deployed=FloatRuntime(tiny_original().requires_grad_(False), CPU),
    )
    for config in (Boundary(), Compd(), Diva()):
        campaign = fuzz(pair, tiny_splits().seeds, strategy=config, limit=12)
        assert list(campaign) == []
        assert campaign.summary().seeds_set_aside == 0


class Liar(Runtime):
    """A deployed model that answers some images wrongly."""

    engine = "liar"
    content_hash = "0" * 64

    def __init__(self, honest, wrong):
        self._honest, self._wrong = honest, wrong

    def run(self, images):
        logits = self._honest.run(images)
        bad = torch.tensor([any(torch.equal(i, w) for w in self._wrong) for i in images])
        return torch.where(bad[:, None], logits.roll(1, 1), logits)


def test_seeds_that_disagree_untouched_are_set_aside_and_never_found():
    honest = tiny_pair()
    wrong = tiny_splits().seeds.images[[0, 3, 5]]
    original = tiny_original()
    reference = FloatRuntime(original, CPU)
    pair = Pair(
        tiny_spec(Ptq()), original, honest.shadow, device=CPU, deployed=Liar(reference, wrong)
    )
    campaign = fuzz(pair, tiny_splits().seeds, strategy=Diva(steps=2), limit=10)
    rows = {finding.seed_row for finding in campaign}
    assert campaign.summary().seeds_set_aside == 3
    assert campaign.summary().seeds == 10
    assert not rows & {tiny_splits().seeds.row(i) for i in (0, 3, 5)}


def test_a_campaign_can_be_stopped_and_keeps_what_it_has():
    control = Control()
    campaign = fuzz(
        tiny_pair(COARSE), tiny_splits().seeds, strategy=Diva(steps=4), control=control, limit=8
    )
    steps = campaign.steps()
    first = next(steps)
    control.stop()
    assert list(steps) == []
    summary = campaign.summary()
    assert summary.stopped == "interrupted"
    assert summary.images_effective == len(first)
    assert summary.forwards_per_seed == 1


def test_a_campaign_that_is_stopped_before_it_begins_searches_nothing():
    control = Control()
    control.stop()
    campaign = fuzz(tiny_pair(), tiny_splits().seeds, control=control)
    assert list(campaign) == []
    assert campaign.summary().stopped == "interrupted"
    assert campaign.summary().seeds == 0


def test_no_seeds_are_refused():
    seeds = tiny_splits().seeds
    none = replace(seeds, images=seeds.images[:0], labels=seeds.labels[:0])
    with pytest.raises(CompdError, match="at least one seed"):
        fuzz(tiny_pair(), none)


def test_time_is_a_budget():
    campaign = fuzz(tiny_pair(), tiny_splits().seeds, strategy=Diva(steps=4), seconds=1e-9)
    list(campaign)
    assert campaign.summary().stopped == "time"
    assert campaign.summary().gradients_per_seed == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"eps": 0},
        {"eps": 256},
        {"eps": 2.5},
        {"eps": float("nan")},
        {"limit": 0},
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"keep": "all"},
        {"strategy": object()},
        {"norm": "l3"},
        {"norm": "l2"},
        {"goal": "worst"},
        {"goal": "severe", "keep": "valid"},
        {"objective": flip("a", "b")},
        {"objective": flip("red", "red")},
        {"objective": "red"},
    ],
)
def test_senseless_arguments_are_refused(settings):
    with pytest.raises(CompdError, match="expected"):
        fuzz(tiny_pair(), tiny_splits().seeds, **settings)


def test_a_batch_of_no_images_is_refused():
    with pytest.raises(CompdError, match=r"expected .*batch=0"):
        tiny_pair().batch = 0


def test_unknown_strategies_and_settings_are_refused():
    with pytest.raises(CompdError, match="did you mean 'diva'"):
        strategy("div")
    with pytest.raises(CompdError, match="coverage"):
        strategy("diva", coverage="neuron")
    with pytest.raises(CompdError, match="coverage"):
        strategy("compd", coverage="newron")


def test_a_strategy_cannot_leave_the_box():
    """The framework clips: whatever a strategy does, the bound holds."""
    pair = tiny_pair(COARSE)
    for finding in fuzz(
        pair, tiny_splits().seeds, strategy=Compd(step_size=1e6), eps=2, keep="valid", limit=16
    ):
        assert finding.linf <= 2


def test_compd_clips_each_step_per_channel():
    campaign = fuzz(
        tiny_pair(), tiny_splits().seeds, strategy=Compd(step_size=1e6, steps=1), keep="valid"
    )
    clip = torch.tensor([0.0608027, 0.05892733, 0.06850188]) * 255  # this pair's std is 1
    for finding in campaign:
        delta = (finding.image.float() - finding.seed_image.float()).abs().amax((1, 2))
        assert (delta <= clip + 0.5).all()


def test_diva_walks_one_level_a_step():
    for finding in findings_of(tiny_pair(), strategy=Diva(steps=5), keep="valid", limit=8):
        assert finding.linf <= finding.step + 1


def test_a_campaign_runs_once():
    campaign = fuzz(tiny_pair(), tiny_splits().seeds, strategy="diva", limit=2)
    list(campaign)
    with pytest.raises(CompdError, match="second run"):
        list(campaign)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_float_models_answer_the_same_in_any_batch(count):
    pair, images = tiny_pair(), tiny_splits().seeds.images
    whole = pair.reference.run(images[:32])
    assert torch.equal(pair.reference.run(images[:count]), whole[:count])


def test_severe_keeps_the_most_severe_deviation_of_each_seed():
    pair, seeds = tiny_pair(COARSE), tiny_splits().seeds.first(40)
    found = {
        goal: list(fuzz(pair, seeds, strategy=Boundary(steps=6), goal=goal, eps=16))
        for goal in ("first", "severe")
    }
    first, severe = ({f.seed_row: f for f in findings} for findings in found.values())
    assert len(severe) == len(found["severe"]) > 0  # one of each seed
    assert severe.keys() >= first.keys()
    for row, finding in first.items():
        assert severe[row].severity >= finding.severity
    assert sum(f.severity for f in severe.values()) > sum(f.severity for f in first.values())


def test_a_flip_is_all_that_is_looked_for():
    pair = tiny_pair(COARSE)
    flips = Counter((f.original.name, f.deployed.name) for f in findings_of(pair))
    (wanted, _), *_ = flips.most_common()
    found = findings_of(pair, objective=flip(*wanted))
    assert {(f.original.name, f.deployed.name) for f in found} == {wanted}
    assert {f.seed_label for f in found} == {pair.classes.index(wanted[0])}


def test_an_l2_bound_holds():
    found = findings_of(tiny_pair(COARSE), strategy=Boundary(steps=6), eps=60, norm="l2")
    assert found
    for finding in found:
        change = finding.image.double() - finding.seed_image.double()
        assert 0 < float(change.norm()) <= 60


def test_nothing_counts_that_the_proof_does_not_confirm():
    """A deployed model that answers otherwise each time: the second answer decides."""
    honest = tiny_pair()

    class Fickle(Runtime):
        engine = "fickle"
        content_hash = "0" * 64
        calls = 0

        def run(self, images):
            self.calls += 1
            logits = honest.reference.run(images)
            return logits.roll(1, 1) if self.calls % 2 == 0 else logits  # 1: the seeds

    pair = Pair(tiny_spec(Ptq()), tiny_original(), honest.shadow, device=CPU, deployed=Fickle())
    campaign = fuzz(pair, tiny_splits().seeds, strategy=Diva(steps=4), limit=8)
    assert list(campaign) == []
    assert campaign.summary().images_effective == 0


@pytest.mark.parametrize(
    ("shape", "together"), [((3, 32, 32), 256), ((3, 128, 128), 85), ((3, 224, 224), 27)]
)
def test_the_larger_the_images_the_fewer_are_searched_together(shape, together):
    """A search keeps up to two dozen float copies of a group: that may take 0.5 GB."""
    assert fitting(256, shape, values=VALUES) == together
    assert fitting(256, shape, values=VALUES) * math.prod(shape) * 4 * 24 < 0.5e9
    assert fitting(64, (3, 4096, 4096)) == 1


def test_groups_are_of_that_size_and_change_nothing():
    how = {"strategy": Diva(steps=3), "limit": 20, "eps": 8}
    together = {identity(f) for f in findings_of(tiny_pair(COARSE), **how)}
    six = 3 * 16 * 16 * 6
    pair, settings = tiny_pair(COARSE, batch=5), SearchSettings(**how)
    campaign = Campaign(pair, tiny_splits().seeds, settings, values=six)
    steps = list(campaign.steps())
    assert len(steps) == 4 * 3  # groups of 6, 6, 6 and 2, three steps each
    assert {identity(f) for findings in steps for f in findings} == together


@pytest.mark.parametrize("config", [Boundary(steps=6), Diva(steps=5)], ids=str)
def test_progress_grows_with_the_steps_taken_and_ends_at_the_end(config):
    done = []
    campaign = fuzz(
        tiny_pair(),
        tiny_splits().seeds,
        strategy=config,
        limit=40,
        eps=1,
        control=Control(lambda progress: done.append((progress.done, progress.total))),
    )
    list(campaign)
    counts = [count for count, total in done if total == 40]
    assert counts == sorted(counts)
    assert counts[-1] == 40
    assert counts[0] == 40 // config.steps  # after the first gradient


def test_only_seeds_of_the_wanted_class_are_set_aside():
    pair = tiny_pair()
    seeds = tiny_splits().seeds
    labels = pair.reference.run(seeds.images).argmax(1)
    liar = Liar(pair.reference, seeds.images[:10])
    pair = Pair(tiny_spec(Ptq()), tiny_original(), pair.shadow, device=CPU, deployed=liar)
    campaign = fuzz(pair, seeds, strategy=Diva(steps=1), objective=flip("red", "green"))
    list(campaign)
    assert campaign.summary().seeds_set_aside == int((labels[:10] == 0).sum())
    assert campaign.summary().seeds == int((labels[10:] == 0).sum())


def test_progress_counts_what_waits_for_its_proof() -> None:
    seen: list[tuple[int, float]] = []

    def note(progress: Progress) -> None:
        if progress.stage == "searching":
            facts = progress.facts
            seen.append((int(facts["found"].split()[0]), float(facts["worst"])))

    campaign = fuzz(
        tiny_pair(), tiny_splits().seeds, limit=12, eps=24, goal="severe", control=Control(note)
    )
    found = {one.seed_row for one in campaign}
    before_the_proof = seen[-3]
    assert before_the_proof[0] == seen[-1][0] == len(found) > 0
    assert before_the_proof[1] == seen[-1][1] > 0


def test_two_campaigns_of_one_control_have_their_own_times():
    control, pair = Control(), tiny_pair(COARSE)
    done = []
    for _ in range(2):
        campaign = fuzz(pair, tiny_splits().seeds, limit=4, eps=8, control=control)
        list(campaign)
        done.append(campaign.summary())
    control.clock.add(1000.0)  # of something else
    assert all(0 < one.model_seconds <= one.seconds for one in done)
    assert campaign.summary().model_seconds == done[1].model_seconds


def test_seeds_that_have_the_target_class_are_not_searched():
    pair = tiny_pair(COARSE)
    splits = tiny_splits().seeds
    target = pair.classes[0]
    campaign = fuzz(pair, splits, limit=12, eps=8, objective=TargetClass(target))
    found = list(campaign)
    assert campaign.summary().seeds == 12
    assert all(one.original.name != target for one in found)
    labels = agreeing(pair, splits, limit=12, but=0).labels
    assert len(labels) == 12
    assert 0 not in labels.tolist()


def test_a_campaign_that_is_stopped_at_once_has_looked_at_nothing():
    control = Control()
    control.stop()
    campaign = fuzz(tiny_pair(COARSE), tiny_splits().seeds, eps=8, control=control)
    assert list(campaign) == []
    assert (campaign.summary().seeds, campaign.summary().stopped) == (0, "interrupted")


def test_seeds_that_the_original_gets_wrong_are_set_aside_where_asked():
    pair, seeds = tiny_pair(), tiny_splits().seeds
    labels = pair.reference.run(seeds.images).argmax(1)
    wrong = torch.arange(len(labels)) % 3 == 0
    seeds = replace(seeds, labels=torch.where(wrong, (labels + 1) % 3, labels))
    kept = fuzz(pair, seeds, strategy=Boundary(steps=6), limit=20)
    aside = fuzz(pair, seeds, strategy=Boundary(steps=6), limit=20, wrong_seeds="aside")
    assert any(finding.seed_label != finding.true_label for finding in kept)
    assert kept.summary().seeds_wrong == 0
    found = list(aside)
    assert found
    assert all(finding.seed_label == finding.true_label for finding in found)
    summary = aside.summary()
    looked_at = 1 + max(
        i for i in range(len(seeds)) if seeds.row(i) in {finding.seed_row for finding in found}
    )
    assert (summary.seeds, summary.seeds_wrong) == (20, int(wrong[:29].sum()))
    assert looked_at <= 30
    unlabelled = replace(seeds, labels=torch.full_like(labels, -1))
    whole = fuzz(pair, unlabelled, strategy=Diva(steps=1), limit=20, wrong_seeds="aside")
    list(whole)
    assert (whole.summary().seeds, whole.summary().seeds_wrong) == (20, 0)


def test_the_worst_is_the_finding_with_the_highest_severity():
    campaign = fuzz(tiny_pair(), tiny_splits().seeds, strategy=Boundary(steps=6), limit=20)
    found = [finding for finding in campaign if finding.verdict is Verdict.EFFECTIVE]
    worst = campaign.summary().worst
    assert worst is not None
    assert worst.severity == max(finding.severity for finding in found)
    assert worst.sha256 in {f.sha256 for f in found if f.severity == worst.severity}
