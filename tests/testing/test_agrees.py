"""The assertion: when it fails, what it says, what it tells Hypothesis, and what it keeps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tiny import tiny_pair, tiny_splits

from compd.corpus import Corpus, verify
from compd.search import Verdict
from compd.testing import (
    Candidate,
    CorpusDatabase,
    assert_agrees,
    corpus_images,
    perturbed,
    seeds,
)
from compd.testing.sources import _Rows


@pytest.fixture(scope="module")
def pair():
    return tiny_pair()


@pytest.fixture
def deviation(project: Path) -> Candidate:
    found = Corpus(project / "found")
    record = max(found, key=lambda one: one.severity)
    return Candidate(
        found.image(record), found.seed_image(record), record.seed_data, record.seed_row
    )


def test_it_passes_where_both_agree(pair):
    candidate = _Rows(tiny_splits(), pair, None)[0]
    assert_agrees(pair, candidate)
    assert_agrees(pair, candidate.image)


def test_it_says_flip_margins_severity_distance_and_where_to_look(pair, deviation, project):
    record = max(Corpus(project / "found"), key=lambda one: one.severity)
    with pytest.raises(AssertionError) as caught:
        assert_agrees(pair, deviation)
    assert (
        str(caught.value)
        == f"""\
the deployed model deviates: {record.flip}, severity {record.severity:.4f}
  original  {record.original.name} {record.original.confidence:.4f}, margin \
{record.original.margin:.4f}
  deployed  {record.deployed.name} {record.deployed.confidence:.4f}, margin \
{record.deployed.margin:.4f}
  distance  {deviation.distance}
  look      assert_agrees(…, corpus=DIR) keeps it, and then says how"""
    )


def test_an_image_alone_is_compared_with_the_originals_answer(pair, deviation):
    with pytest.raises(AssertionError, match="the deployed model deviates"):
        assert_agrees(pair, deviation.image)


def test_where_either_model_is_not_sure_it_passes(pair, deviation, refuses, project):
    severity = max(record.severity for record in Corpus(project / "found"))
    assert_agrees(pair, deviation, min_margin=severity + 0.001)
    with pytest.raises(AssertionError):
        assert_agrees(pair, deviation, min_margin=severity - 0.001)
    with refuses("min_margin=2"):
        assert_agrees(pair, deviation, min_margin=2)


def test_natural_disagreement_is_named_and_not_stored(rough_pair, agreement, tmp_path):
    seed = _Rows(tiny_splits(), None, None)[int((~agreement).nonzero()[0])]
    with pytest.raises(AssertionError, match="natural"):
        assert_agrees(rough_pair, seed, corpus=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    "image", [torch.zeros(3, 16, 16), torch.zeros(16, 16, dtype=torch.uint8), "cat.png"]
)
def test_what_is_no_image_is_refused(pair, image, refuses):
    with refuses("expected an image"):
        assert_agrees(pair, image)


def test_an_image_of_another_size_is_refused(pair, refuses):
    with refuses("(1, 3, 8, 8)"):
        assert_agrees(pair, torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_what_is_kept_is_an_entry_that_verifies(pair, deviation, tmp_path):
    with pytest.raises(AssertionError) as caught:
        assert_agrees(pair, deviation, corpus=tmp_path / "kept")
    assert f"compd corpus show {deviation.sha256[:12]} --corpus {tmp_path}" in str(caught.value)
    (record,) = corpus = Corpus(tmp_path / "kept")
    assert record.strategy["name"] == "hypothesis"
    assert [one.holds for one in verify(corpus, pair)] == [True]
    with pytest.raises(AssertionError):
        assert_agrees(pair, deviation, corpus=tmp_path / "kept")  # a second time adds nothing
    assert len(Corpus(tmp_path / "kept")) == 1


def test_a_corpus_that_cannot_be_written_does_not_hide_the_deviation(pair, deviation, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match="not stored: expected"):
        assert_agrees(pair, deviation, corpus=tmp_path / "file")


def test_hypothesis_is_told_how_near_a_deviation_is(pair, monkeypatch):
    told: list[tuple[float, str]] = []

    def note(value: float, label: str) -> None:
        told.append((value, label))

    monkeypatch.setattr("compd.testing.agrees.target", note)

    @settings(max_examples=20, phases=[Phase.generate])
    @given(perturbed(seeds(tiny_splits(), agree=pair), eps=32, towards=pair))
    def each(candidate):
        before = len(told)
        try:
            assert_agrees(pair, candidate)
        except AssertionError:
            assert told[before][0] >= 0
            return
        assert told[before][0] <= 0

    each()
    assert len(told) == 20


def test_several_assertions_in_one_test_are_told_apart(pair):
    @settings(max_examples=3)
    @given(seeds(tiny_splits(), agree=pair), seeds(tiny_splits(), agree=pair))
    def both(first, second):
        assert_agrees(pair, first)
        assert_agrees(pair, second)

    both()


class TestDatabase:
    """Hypothesis's bytes and the corpus's entry, side by side."""

    @staticmethod
    def failing(pair, project, database, seen):
        @settings(max_examples=50, database=database, derandomize=False)
        @given(corpus_images(project / "found"), st.integers())
        def test(candidate, number):
            seen.append(number)
            assert_agrees(pair, candidate)

        return test

    def test_the_smallest_example_is_stored_and_replayed_first(self, pair, project, tmp_path):
        database, seen = CorpusDatabase(tmp_path / "kept"), []
        with pytest.raises(AssertionError, match="compd corpus show"):
            self.failing(pair, project, database, seen)()
        (record,) = corpus = Corpus(tmp_path / "kept")
        assert (
            record.sha256 == next(iter(Corpus(project / "found"))).sha256
        )  # the first is simplest
        assert [one.holds for one in verify(corpus, pair)] == [True]
        assert record.verdict is Verdict.EFFECTIVE
        again: list[int] = []
        with pytest.raises(AssertionError):
            self.failing(pair, project, CorpusDatabase(tmp_path / "kept"), again)()
        assert again[0] == 0  # what shrinking had come to
        assert len(Corpus(tmp_path / "kept")) == 1

    def test_it_keeps_what_it_is_given(self, tmp_path):
        database = CorpusDatabase(tmp_path / "kept")
        database.save(b"key", b"one")
        database.save(b"key", b"two")
        database.move(b"key", b"other", b"two")
        database.delete(b"key", b"none")
        assert list(database.fetch(b"key")) == [b"one"]
        assert list(CorpusDatabase(tmp_path / "kept").fetch(b"other")) == [b"two"]
        assert len(Corpus(tmp_path / "kept", create=True)) == 0

    def test_a_test_that_passes_leaves_no_corpus(self, pair, tmp_path):
        @settings(max_examples=5, database=CorpusDatabase(tmp_path / "kept"))
        @given(seeds(tiny_splits(), agree=pair))
        def passes(candidate):
            assert_agrees(pair, candidate)

        passes()
        assert not (tmp_path / "kept" / "metadata.jsonl").exists()
