"""A hunt grows a corpus by what is new, loses nothing, and stores nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import tiny_pair, tiny_splits

from compd.control import Control, Progress
from compd.corpus import Corpus, MinimiseSettings, verify
from compd.errors import CompdError
from compd.gating import hunt
from compd.search import SearchSettings

LEFT = {".gitignore", "next-random-seed"}  # beside a corpus when all findings are in it
SETTINGS = [SearchSettings(limit=16, eps=12), SearchSettings(strategy="pgd", limit=16, eps=12)]
FEW = MinimiseSettings(30)


def test_it_grows_a_corpus_of_smaller_changes_that_still_deviate(tmp_path: Path) -> None:
    pair, corpus = tiny_pair(), Corpus(tmp_path / "corpus", create=True)
    seeds = tiny_splits().seeds
    first = hunt(pair, seeds, corpus, SETTINGS, rounds=2, minimising=FEW)
    assert (first.rounds, first.first_seed, first.next_seed, first.stopped) == (2, 0, 2, "rounds")
    assert first.stored == len(corpus) > 0
    assert first.smaller > 0
    assert all(result.holds for result in verify(corpus, pair))
    known = [(record.seed_sha256, record.deployed.label) for record in corpus]
    assert len(set(known)) == len(known)
    # another night goes on with other draws, and keeps what is there
    before = (corpus.directory / "metadata.jsonl").read_bytes()
    again = hunt(pair, seeds, corpus, SETTINGS, rounds=1, minimising=FEW)
    assert (again.first_seed, again.next_seed) == (2, 3)  # whatever the rounds before stored
    assert (corpus.directory / "metadata.jsonl").read_bytes().startswith(before)
    assert {path.name for path in (tmp_path / "corpus-hunt").iterdir()} == LEFT


def test_no_entry_is_made_milder_than_the_gate_counts(tmp_path: Path) -> None:
    pair = tiny_pair()
    settings = [SearchSettings(limit=12, eps=24, goal="severe")]
    plain = Corpus(tmp_path / "plain", create=True)
    hunt(pair, tiny_splits().seeds, plain, settings, rounds=1, minimising=MinimiseSettings(1))
    limit = sorted(record.severity for record in plain)[len(plain) // 2]
    corpus = Corpus(tmp_path / "corpus", create=True)
    hunt(
        pair,
        tiny_splits().seeds,
        corpus,
        settings,
        rounds=1,
        min_severity=limit,
        minimising=MinimiseSettings(100),
    )
    count = sum(record.severity >= limit for record in plain)
    assert sum(record.severity >= limit for record in corpus) == count > 0


def test_what_was_interrupted_is_taken_in_by_the_next(tmp_path: Path) -> None:
    pair, corpus = tiny_pair(), Corpus(tmp_path / "corpus", create=True)

    def stop_when_minimising(progress: Progress) -> None:
        if progress.stage == "minimising":
            control.stop()

    control = Control(stop_when_minimising)
    done = hunt(
        pair,
        tiny_splits().seeds,
        corpus,
        SETTINGS,
        rounds=3,
        minimising=FEW,
        control=control,
    )
    assert (done.stopped, len(corpus)) == ("interrupted", 0)
    assert done.found > 0
    hunt(pair, tiny_splits().seeds, corpus, SETTINGS[1:], rounds=1, minimising=FEW)
    whole = Corpus(tmp_path / "whole", create=True)
    hunt(pair, tiny_splits().seeds, whole, SETTINGS[:1], rounds=1, minimising=FEW)
    assert {record.sha256 for record in whole} <= {record.sha256 for record in corpus}
    assert {path.name for path in (tmp_path / "corpus-hunt").iterdir()} == LEFT


def test_two_hunts_on_one_corpus_keep_out_of_each_others_way(tmp_path: Path) -> None:
    pair, corpus = tiny_pair(), Corpus(tmp_path / "corpus", create=True)
    corpus.make()

    def hunt_too(progress: Progress) -> None:
        del progress
        with pytest.raises(CompdError, match="another process that hunts"):
            hunt(pair, tiny_splits().seeds, Corpus(tmp_path / "corpus"), SETTINGS, rounds=1)

    hunt(
        pair,
        tiny_splits().seeds,
        corpus,
        SETTINGS,
        rounds=1,
        minimising=MinimiseSettings(5),
        control=Control(hunt_too),
    )
    assert len(corpus)


def test_it_needs_a_budget(tmp_path: Path) -> None:
    with pytest.raises(CompdError, match="budget"):
        hunt(tiny_pair(), tiny_splits().seeds, Corpus(tmp_path / "c", create=True), SETTINGS)
