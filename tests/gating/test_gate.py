"""The gate on a tiny real pair: what becomes of each deviation, and the exit code."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import CPU, tiny_original, tiny_pair, tiny_spec, tiny_splits

from compd.compress import Prune
from compd.control import Control
from compd.corpus import Corpus, collect
from compd.errors import CompdError, Stopped
from compd.gating import Accepted, Baseline, GateResult, Policy, Status, gate, settings_for
from compd.images import encode_png, pixel_hash
from compd.pair import Pair
from compd.search import Campaign, SearchSettings, Stability, StabilityCheck, Verdict

REPLAY = Policy(only_replay=True)


def bent(by: float) -> Pair:
    """A pruned pair whose deployed model is the original with one layer bent."""
    shadow = tiny_original()
    with torch.no_grad():
        shadow.net.linear.weight[0] *= 1 + by
        shadow.net.linear.weight[1] *= 1 - by
    return Pair(tiny_spec(Prune()), tiny_original(), shadow, device=CPU)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return bent(0.2)


@pytest.fixture(scope="module")
def found(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one search of the pair found, to be copied."""
    folder = tmp_path_factory.mktemp("found") / "corpus"
    settings = SearchSettings(limit=40, eps=8, goal="severe")
    campaign = Campaign(pair, tiny_splits().seeds, settings)
    for _ in collect(campaign, Corpus(folder, create=True), stability=StabilityCheck(pair)):
        pass
    assert len(Corpus(folder)) > 5
    return folder


@pytest.fixture
def corpus(found: Path, tmp_path: Path) -> Corpus:
    return Corpus(shutil.copytree(found, tmp_path / "corpus"))


def all_of(corpus: Corpus) -> Baseline:
    return Baseline(Accepted.of(record, "known") for record in corpus)


def counts(result: GateResult) -> dict[Status, int]:
    return {status: count for status, count in result.counts.items() if count}


def test_what_nobody_accepted_fails(corpus: Corpus, pair: Pair) -> None:
    result = gate(pair, corpus, Baseline(), policy=REPLAY)
    assert (result.exit_code, counts(result)) == (1, {Status.NEW: len(corpus)})
    lines = [one.line for one in result.deviations]
    assert sorted(lines) == list(range(1, len(corpus) + 1))
    text = (corpus.directory / "metadata.jsonl").read_text().splitlines()
    assert all(one.record.sha256 in text[one.line - 1] for one in result.deviations)


def test_what_was_accepted_passes_and_the_search_finds_nothing_else(
    corpus: Corpus, pair: Pair, tmp_path: Path
) -> None:
    new = Corpus(tmp_path / "new", create=True)
    policy = Policy(seeds=40)
    result = gate(pair, corpus, all_of(corpus), policy=policy, splits=tiny_splits(), found=new)
    assert (result.exit_code, counts(result)) == (0, {Status.ACCEPTED: len(corpus)})
    assert result.searched is not None
    # strategy, bound and goal are those of the corpus's entries
    assert {k: result.searched.settings[k] for k in ("name", "eps", "goal")} == {
        "name": "boundary",
        "eps": 8,
        "goal": "severe",
    }
    assert result.searched.summary.seeds_effective == len(corpus)
    assert len(new) == 0


def test_a_changed_model_has_new_ones_which_are_stored(corpus: Corpus, tmp_path: Path) -> None:
    new = Corpus(tmp_path / "new", create=True)
    worse = bent(0.4)
    result = gate(
        worse, corpus, all_of(corpus), policy=Policy(seeds=40), splits=tiny_splits(), found=new
    )
    fresh = {one.record.sha256 for one in result.of(Status.NEW) if one.found == "search"}
    assert result.exit_code == 1
    assert fresh
    assert fresh <= {record.sha256 for record in new}
    assert not {record.sha256 for record in new} & {record.sha256 for record in corpus}


def test_known_by_seed_takes_other_pixels_of_the_same_flip(corpus: Corpus) -> None:
    other = bent(0.21)
    by_image, by_seed = (
        gate(
            other,
            corpus,
            all_of(corpus),
            policy=Policy(seeds=40, known_by=known),
            splits=tiny_splits(),
        )
        for known in ("image", "seed")
    )
    assert len(by_seed.of(Status.NEW)) < len(by_image.of(Status.NEW))
    taken = [one for one in by_seed.of(Status.ACCEPTED) if one.found == "search"]
    assert taken
    assert all(one.why.startswith("as ") for one in taken)


def test_mild_ones_do_not_count(corpus: Corpus, pair: Pair) -> None:
    middle = sorted(record.severity for record in corpus)[len(corpus) // 2]
    result = gate(pair, corpus, Baseline(), policy=replace(REPLAY, min_severity=middle))
    assert all(one.record.severity >= middle for one in result.of(Status.NEW))
    assert all(one.record.severity < middle for one in result.of(Status.MILD))
    some = len(result.of(Status.NEW))
    assert 0 < some < len(corpus)
    assert gate(pair, corpus, Baseline(), policy=replace(REPLAY, max_new=some)).exit_code == 1
    allowed = replace(REPLAY, min_severity=middle, max_new=some)
    assert gate(pair, corpus, Baseline(), policy=allowed).exit_code == 0


def test_an_accepted_one_that_got_worse_or_other_counts_as_new(corpus: Corpus, pair: Pair) -> None:
    first, second = list(corpus)[:2]
    lines = dict(all_of(corpus))
    lines[first.sha256] = replace(lines[first.sha256], severity=0.0)
    lines[second.sha256] = replace(lines[second.sha256], flip="red → yellow")
    policy = replace(REPLAY, max_severity_rise=first.severity / 2)
    result = gate(pair, corpus, Baseline(lines.values()), policy=policy)
    why = {one.record.sha256: one.why for one in result.of(Status.NEW)}
    assert set(why) == {first.sha256, second.sha256}
    assert "accepted at severity 0.00" in why[first.sha256]
    assert "accepted as red → yellow" in why[second.sha256]


def test_what_no_longer_deviates_is_fixed_or_stale(corpus: Corpus) -> None:
    same = bent(0.0)
    one = next(iter(corpus))
    gone = Accepted("f" * 64, "red → blue", 0.1, "its entry was removed")
    baseline = Baseline([Accepted.of(one, "known"), gone])
    result = gate(same, corpus, baseline, policy=REPLAY)
    assert counts(result) == {Status.STALE: 1, Status.FIXED: len(corpus) - 1}
    assert result.unknown == (gone,)
    assert result.exit_code == 0


def elsewhere(corpus: Corpus, folder: Path, **fingerprint: str) -> Corpus:
    """The same entries, as if another machine had stored them."""
    copied = Corpus(folder, create=True)
    copied.add(
        (
            replace(record, fingerprint={**record.fingerprint, **fingerprint}),
            corpus.image(record),
            corpus.seed_image(record),
        )
        for record in corpus
    )
    return copied


@pytest.mark.parametrize("key", ["cpu_flags", "engine", "torch", "isa_limits", "threads"])
def test_another_machine_is_inconclusive_unless_it_deviates_here(
    corpus: Corpus, pair: Pair, tmp_path: Path, key: str
) -> None:
    theirs = elsewhere(corpus, tmp_path / "theirs", **{key: "other"})
    assert gate(pair, theirs, Baseline(), policy=REPLAY).exit_code == 1  # it is confirmed here
    result = gate(bent(0.0), theirs, Baseline(), policy=REPLAY)
    assert (result.exit_code, counts(result)) == (3, {Status.UNCONFIRMED: len(corpus)})
    assert all(key in one.why for one in result.deviations)
    # what is accepted, or too mild to count, needs no confirmation
    assert gate(bent(0.0), theirs, all_of(corpus), policy=REPLAY).exit_code == 0
    assert (
        gate(bent(0.0), theirs, Baseline(), policy=replace(REPLAY, min_severity=1.0)).exit_code == 0
    )


@pytest.mark.parametrize("key", ["python", "pillow", "compd", "deployed_sha256"])
def test_what_cannot_change_an_answer_is_not_another_machine(
    corpus: Corpus, tmp_path: Path, key: str
) -> None:
    theirs = elsewhere(corpus, tmp_path / "theirs", **{key: "other"})
    assert gate(bent(0.0), theirs, Baseline(), policy=REPLAY).exit_code == 0


def test_flaky_ones_never_block(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def wavering(images: torch.Tensor) -> torch.Tensor:  # no kernel here wavers by itself
        runs.append(len(images))
        logits = steady(images)
        return logits if len(runs) % 2 else other.reference.run(images)

    other = bent(0.2)
    steady = other.deployed.run
    monkeypatch.setattr(other.deployed, "run", wavering)
    # what was found on the very same model is not replayed in other ways once more
    theirs = elsewhere(corpus, tmp_path / "theirs", deployed_sha256="other")
    result = gate(other, theirs, Baseline(), policy=REPLAY)
    assert result.of(Status.FLAKY)
    assert all(one.record.stability is Stability.FLAKY for one in result.of(Status.FLAKY))
    assert not result.of(Status.NEW)
    assert result.exit_code == 0


def test_limits_on_clean_rows(corpus: Corpus) -> None:
    worse = bent(2.0)
    policy = Policy(
        only_replay=True,
        max_natural_disagreement=0.001,
        max_accuracy_drop=0.0,
        max_class_accuracy_drop=0.0,
        max_new=10_000,
    )
    result = gate(worse, corpus, Baseline(), policy=policy, splits=tiny_splits())
    assert result.exit_code == 1
    assert "max-natural-disagreement" in result.failures
    assert "max-class-accuracy-drop" in result.failures
    clean = result.clean
    assert clean is not None
    assert clean.disagree_bound > clean.disagree / clean.images


def test_none_of_few_images_is_not_read_as_never(corpus: Corpus) -> None:
    same = bent(0.0)
    result = gate(
        same,
        corpus,
        Baseline(),
        policy=replace(REPLAY, max_natural_disagreement=0.01),
        splits=tiny_splits(),
    )
    assert result.clean is not None
    assert result.clean.disagree == 0
    assert result.clean.disagree_bound == pytest.approx(1 - 0.05 ** (1 / result.clean.images))
    assert result.exit_code == 1  # 0 of 200 is only known to be below 1.5 %


def test_a_damaged_picture_is_an_error_and_no_verdict(corpus: Corpus, pair: Pair) -> None:
    record = next(iter(corpus))
    path = corpus.directory / f"images/{record.sha256[:2]}/{record.sha256}.png"
    path.write_bytes(encode_png(torch.zeros(3, 16, 16, dtype=torch.uint8)))
    with pytest.raises(CompdError, match="hash in the name"):
        gate(pair, corpus, Baseline(), policy=REPLAY)


def test_a_label_that_the_pair_has_not_is_an_error(
    corpus: Corpus, pair: Pair, tmp_path: Path
) -> None:
    record = next(iter(corpus))
    other = Corpus(tmp_path / "other", create=True)
    other.add([(replace(record, seed_label=7), corpus.image(record), corpus.seed_image(record))])
    with pytest.raises(CompdError, match="3 classes, got label=7"):
        gate(pair, other, Baseline(), policy=REPLAY)


def test_a_corpus_of_other_classes_is_an_error(corpus: Corpus, pair: Pair, tmp_path: Path) -> None:
    other = Corpus(tmp_path / "other", create=True)
    record = next(iter(corpus))
    names = replace(record.original, name="owl")
    entry = (replace(record, original=names), corpus.image(record), corpus.seed_image(record))
    other.add([entry])
    with pytest.raises(CompdError, match="it is of another network"):
        gate(pair, other, Baseline(), policy=REPLAY)


def test_another_original_is_noted(corpus: Corpus, pair: Pair, tmp_path: Path) -> None:
    theirs = elsewhere(corpus, tmp_path / "theirs", original_sha256="other")
    assert gate(pair, corpus, Baseline(), policy=REPLAY).other_original == 0
    assert gate(pair, theirs, Baseline(), policy=REPLAY).other_original == len(corpus)


def test_an_emptied_corpus_is_an_error(corpus: Corpus, pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(CompdError, match="been emptied"):
        gate(pair, Corpus(tmp_path / "empty", create=True), all_of(corpus), policy=REPLAY)


def test_what_is_found_goes_to_another_folder(corpus: Corpus, pair: Pair) -> None:
    with pytest.raises(CompdError, match="another folder"):
        gate(pair, corpus, Baseline(), policy=REPLAY, found=Corpus(corpus.directory))


def test_no_rise_lets_the_same_severity_pass(corpus: Corpus, pair: Pair) -> None:
    policy = replace(REPLAY, max_severity_rise=0.0)
    assert gate(pair, corpus, all_of(corpus), policy=policy).exit_code == 0


def test_an_entry_that_did_not_deviate_counts_when_it_does(
    corpus: Corpus, pair: Pair, tmp_path: Path
) -> None:
    record = next(iter(corpus))
    was = replace(record, verdict=Verdict.VALID, severity=0.0, stability=None)
    other = Corpus(tmp_path / "other", create=True)
    other.add([(was, corpus.image(record), corpus.seed_image(record))])
    assert counts(gate(pair, other, Baseline(), policy=REPLAY)) == {Status.NEW: 1}
    assert counts(gate(bent(0.0), other, Baseline(), policy=REPLAY)) == {}


def test_known_by_seed_holds_for_the_corpus_too(corpus: Corpus, pair: Pair, tmp_path: Path) -> None:
    record = next(iter(corpus))
    image = corpus.image(record).clone()
    image[:, 0, 0] ^= 1
    twin = replace(record, sha256=pixel_hash(image))
    corpus.add([(twin, image, corpus.seed_image(record))])
    baseline = all_of(corpus).without([twin.sha256])
    assert gate(pair, corpus, baseline, policy=REPLAY).exit_code == 1
    assert gate(pair, corpus, baseline, policy=replace(REPLAY, known_by="seed")).exit_code == 0


def test_bounds_that_are_left_out_are_the_corpuss(corpus: Corpus) -> None:
    records = [replace(record, norm="l2", eps=128) for record in corpus]

    def bound(**fields: object) -> tuple[str, int | None]:
        settings = settings_for(Policy(**fields), records)
        return settings.norm, settings.eps

    assert bound() == ("l2", 128)
    assert bound(eps=64) == ("l2", 64)
    assert bound(norm="linf") == ("linf", None)
    assert bound(norm="linf", eps=8) == ("linf", 8)


def test_a_search_that_looked_at_nothing_is_inconclusive(corpus: Corpus, pair: Pair) -> None:
    policy = Policy(seeds=40, time=0.001)
    result = gate(pair, corpus, all_of(corpus), policy=policy, splits=tiny_splits())
    assert result.searched is not None
    if not result.searched.summary.forwards_per_seed:
        assert (result.exit_code, result.verdict) == (3, "inconclusive")


def test_an_interrupted_gate_has_no_verdict(corpus: Corpus, pair: Pair) -> None:
    control = Control(lambda told: told.stage == "searching" and control.stop())
    policy = Policy(max_accuracy_drop=0.5)
    result = gate(
        pair, corpus, all_of(corpus), policy=policy, splits=tiny_splits(), control=control
    )
    assert (result.exit_code, result.verdict) == (130, "interrupted")
    assert result.clean is None  # whoever interrupts does not want to wait for more
    assert result.searched is not None


def test_a_gate_that_is_interrupted_while_it_replays_has_no_result(
    corpus: Corpus, pair: Pair
) -> None:
    control = Control()
    control.stop()
    with pytest.raises(Stopped):
        gate(pair, corpus, all_of(corpus), policy=Policy(only_replay=True), control=control)


def test_a_search_needs_images(corpus: Corpus, pair: Pair) -> None:
    with pytest.raises(CompdError, match="only_replay"):
        gate(pair, corpus, Baseline(), policy=Policy())


def test_int8_pairs_pass_the_same_gate(tmp_path: Path) -> None:
    pair = tiny_pair()
    found = Corpus(tmp_path / "corpus", create=True)
    campaign = Campaign(pair, tiny_splits().seeds, SearchSettings(limit=20, eps=16))
    for _ in collect(campaign, found, stability=StabilityCheck(pair)):
        pass
    assert len(found)
    assert (
        gate(pair, found, Baseline(), policy=Policy(seeds=20), splits=tiny_splits()).exit_code == 1
    )
    result = gate(pair, found, all_of(found), policy=Policy(seeds=20), splits=tiny_splits())
    assert (result.exit_code, counts(result)) == (0, {Status.ACCEPTED: len(found)})


def test_a_corpus_of_another_pair_is_not_clean(corpus: Corpus, pair: Pair) -> None:
    other = Pair(tiny_spec(Prune()), bent(0.3).shadow, bent(0.3).shadow, device=CPU)
    result = gate(other, corpus, all_of(corpus), policy=REPLAY)
    assert counts(result).keys() <= {Status.STALE}
    assert result.foreign
    assert (result.exit_code, result.verdict) == (3, "inconclusive")
    assert not gate(pair, corpus, all_of(corpus), policy=REPLAY).foreign


def test_one_model_for_both_is_no_pair(corpus: Corpus) -> None:
    images = tiny_splits().seeds.images
    same = Pair.from_modules(tiny_original(), tiny_original(), example=images[:1])
    with pytest.raises(CompdError, match="got the same one as original and deployed; give"):
        gate(same, corpus, Baseline(), policy=REPLAY)
