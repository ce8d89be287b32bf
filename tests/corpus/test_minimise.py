"""Minimising a corpus of a tiny real pair: every flip is kept, and nothing is ever lost."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_pair, tiny_splits

from compd.compress import Ptq
from compd.control import Control, Progress
from compd.corpus import Corpus, MinimiseSettings, Record, collect, minimise, stats, verify
from compd.pair import Pair
from compd.runtimes import Runtime
from compd.search import Boundary, Campaign, SearchSettings, Verdict

COARSE = Ptq(weight_bits=4)
EFFORT = MinimiseSettings(trials=60)
BATCH = 4  # few at a time: some entries have ended before others start
Refuses = Callable[..., Any]


@pytest.fixture(scope="module")
def pair() -> Pair:
    return tiny_pair(COARSE)


@pytest.fixture(scope="module")
def source(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some deviations, and some valid images between them."""
    folder = tmp_path_factory.mktemp("source") / "corpus"
    settings = SearchSettings(strategy=Boundary(steps=8), eps=8, limit=40, keep="valid")
    campaign = Campaign(pair, tiny_splits().seeds, settings)
    assert sum(collect(campaign, Corpus(folder, create=True))) > 0
    numbers = stats(Corpus(folder))
    assert numbers.effective > 10
    assert numbers.valid > 0
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def minimised(
    source: Path,
    target: Path,
    pair: Pair,
    effort: MinimiseSettings = EFFORT,
    *,
    batch: int | None = None,
    **how: Any,
) -> Any:
    pair.batch = batch
    return minimise(
        Corpus(source), Corpus(target, create=True), pair, **dataclasses.asdict(effort), **how
    )


def stopping_after(calls: int) -> Control:
    """Stops what it is handed to when that has reported more often."""
    left = iter(range(calls))

    def report(_: Progress) -> None:
        if next(left, None) is None:
            control.stop()

    control = Control(report)
    return control


@pytest.fixture(scope="module")
def result(source: Path, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("result") / "corpus"
    before = tree(source)
    done = minimised(source, target, pair, batch=BATCH)
    assert tree(source) == before
    assert done.left_out == {}
    assert done.stopped == "done"
    assert done.passed_over == stats(Corpus(source)).valid
    assert done.stored + done.alike == stats(Corpus(source)).effective
    assert done.stored == len(Corpus(target))
    assert 0 < done.forwards <= done.trials
    return target


def test_every_flip_is_kept_by_a_smaller_change(source: Path, result: Path, pair: Pair) -> None:
    large, small = Corpus(source), Corpus(result)
    entries = {record.sha256: record for record in large}
    assert all(replayed.holds for replayed in verify(small, pair))
    for record in small:
        made = record.minimised
        assert made is not None
        old = entries[made.source]
        assert record.verdict is Verdict.EFFECTIVE
        assert record.flip == old.flip
        assert record.seed_label == old.seed_label == record.original.label
        assert record.deployed.label == old.deployed.label != record.original.label
        assert (record.seed_row, record.seed_sha256) == (old.seed_row, old.seed_sha256)
        changed = [c.image(r) != c.seed_image(r) for c, r in ((large, old), (small, record))]
        assert made.pixels == tuple(int(c.any(0).sum()) for c in changed)
        assert made.values == tuple(int(c.sum()) for c in changed)
        assert 0 < made.pixels[1] <= made.pixels[0]
        assert made.linf == (old.linf, record.linf)
        assert record.linf <= 8
        far = (small.image(record).int() - small.seed_image(record).int()).abs().max()
        assert far == record.linf
        assert Record.from_line(record.to_line()) == record
    cut = stats(small).cut
    assert cut is not None
    assert cut.entries == len(small)
    assert cut.factor > 1.2  # this network sums all pixels up, so that each counts the same


@pytest.mark.parametrize("keep", [0.0, 0.9])
def test_how_much_of_the_severity_is_kept_is_a_setting(
    source: Path, result: Path, pair: Pair, tmp_path: Path, keep: float
) -> None:
    def least(folder: Path) -> float:
        made = [record.minimised for record in Corpus(folder)]
        pairs = [one.severity for one in made if one is not None and one.severity is not None]
        assert len(pairs) == len(made)
        return min(after / before for before, after in pairs if before)

    minimised(source, tmp_path / "out", pair, dataclasses.replace(EFFORT, keep_severity=keep))
    assert least(result) >= 0.5 - 1e-4
    assert least(tmp_path / "out") < 0.5 if keep == 0 else least(tmp_path / "out") >= 0.9 - 1e-4
    entry = next(iter(Corpus(result)))
    assert entry.minimised is not None
    assert entry.minimised.settings["keep_severity"] == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 64])
def test_results_do_not_depend_on_the_batch(
    source: Path, result: Path, pair: Pair, tmp_path: Path, batch: int
) -> None:
    minimised(source, tmp_path / "other", pair, batch=batch)

    def content(folder: Path) -> list[Record]:
        return [dataclasses.replace(record, fingerprint={}) for record in Corpus(folder)]

    assert content(tmp_path / "other") == content(result)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_ends_the_same(
    source: Path, result: Path, pair: Pair, tmp_path: Path
) -> None:
    runs = [
        minimised(source, tmp_path / "out", pair, batch=BATCH, save_every=0.0, control=control)
        for control in map(stopping_after, (1, 180, 100, 10**9))
    ]
    assert [run.stopped for run in runs] == ["interrupted"] * 3 + ["done"]
    assert runs[-1].done_before > 0
    assert tree(tmp_path / "out") == tree(result)
    again = minimised(source, tmp_path / "out", pair, batch=BATCH)
    assert again.stored == 0
    assert tree(tmp_path / "out") == tree(result)


# Loads once, then forks a run for each number that it is told; the run kills itself at that call of
# the models. A write follows each call, so that kills hit before, between and after writes.
_KILLED = """
import os, signal, sys
import torch
from compd.corpus import Corpus, minimise
from compd.corpus.batching import Models
from compd.pair import Pair

torch.set_num_threads(1)
source, target, pair, *fatal = sys.argv[1:]
for number in map(int, fatal):
    child = os.fork()
    if child == 0:
        real, calls = Models.outcomes, iter(range(1, 10**9))

        def dying(self, *arguments):
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, *arguments)

        Models.outcomes = dying
        opened = Pair.load(pair)
        opened.batch = 4
        minimise(Corpus(source), Corpus(target, create=True), opened, trials=60, save_every=0.0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    there = os.path.exists(target)  # it is made with the first entry
    print(os.WTERMSIG(status), len(Corpus(target)) if there else 0, flush=True)
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_and_loses_nothing(
    source: Path, result: Path, pair: Pair, tmp_path: Path
) -> None:
    pair.save(tmp_path / "pair")
    target, before, fatal = tmp_path / "out", tree(source), ["1", "120", "60", "61"]
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, source, target, tmp_path / "pair", *fatal],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kills = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert [number for number, _ in kills] == [signal.SIGKILL] * 4
    counts = [count for _, count in kills]
    assert counts == sorted(counts)
    assert 0 < counts[-1] < len(Corpus(result))  # killed in the middle
    assert tree(source) == before
    for record in Corpus(target):
        Corpus(target).image(record)
    minimised(source, target, pair)
    content = [dataclasses.replace(r, fingerprint={}) for r in Corpus(target)]
    assert content == [dataclasses.replace(r, fingerprint={}) for r in Corpus(result)]


def test_what_cannot_be_minimised_is_named_and_stays(
    source: Path, pair: Pair, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(source, tmp_path / "source"))
    effective = [r for r in Corpus(folder) if r.verdict is Verdict.EFFECTIVE]
    damaged, changed, foreign, *_ = effective
    (folder / f"images/{damaged.sha256[:2]}/{damaged.sha256}.png").write_bytes(b"no picture")
    lines = []
    for line in (folder / "metadata.jsonl").read_text().splitlines():
        content = json.loads(line)
        if changed.sha256 in content["file_name"]:  # the record claims the third class
            other = ({0, 1, 2} - {changed.seed_label, changed.deployed.label}).pop()
            content["deployed"]["label"] = other
        if foreign.sha256 in content["file_name"]:
            content["deployed"]["label"] = 77
        lines.append(json.dumps(content) + "\n")
    (folder / "metadata.jsonl").write_text("".join(lines))
    before = tree(folder)
    done = minimised(folder, tmp_path / "out", pair)
    assert set(done.left_out) == {r.sha256 for r in (damaged, changed, foreign)}
    assert "corrupt" in done.left_out[damaged.sha256] or "readable" in done.left_out[damaged.sha256]
    assert "no longer" in done.left_out[changed.sha256]
    assert "3 classes" in done.left_out[foreign.sha256]
    assert done.stored + done.alike == len(effective) - 3
    assert tree(folder) == before


def test_nothing_to_do_is_done_at_once(pair: Pair, tmp_path: Path) -> None:
    Corpus(tmp_path / "empty", create=True).make()
    done = minimised(tmp_path / "empty", tmp_path / "out", pair)
    assert (done.stored, done.trials, done.stopped) == (0, 0, "done")
    assert len(Corpus(tmp_path / "out")) == 0


def test_a_target_that_is_something_else_is_refused(
    source: Path, result: Path, pair: Pair, tmp_path: Path, refuses: Refuses
) -> None:
    with refuses("another folder"):
        minimised(source, source, pair)
    with refuses("other entries"):
        minimised(result, Path(shutil.copytree(source, tmp_path / "source")), pair)
    with refuses("trials=60"):
        minimised(source, result, pair, MinimiseSettings(trials=61))
    with refuses("expected the pair"):
        minimised(source, result, tiny_pair())
    with refuses("batch=0"):
        minimised(source, tmp_path / "out", pair, batch=0)


@pytest.mark.parametrize(
    "values", [{"trials": 0}, {"eps": 0}, {"eps": 256}, {"random_seed": -1}, {"trials": 2**40}]
)
def test_a_senseless_effort_is_refused(values: dict[str, int], refuses: Refuses) -> None:
    with refuses(str(next(iter(values.values())))):
        MinimiseSettings(**values)


def test_the_bound_is_the_campaigns_or_the_entrys(source: Path) -> None:
    record = dataclasses.replace(next(iter(Corpus(source))), eps=8, linf=5)
    assert MinimiseSettings().bound(record) == 8
    assert MinimiseSettings(eps=3).bound(record) == 5  # it may stay where it is
    assert MinimiseSettings(eps=30).bound(record) == 30
    assert MinimiseSettings().bound(dataclasses.replace(record, eps=None)) == 5
    assert MinimiseSettings().bound(dataclasses.replace(record, eps=200, norm="l2")) == 5


def test_linf_never_rises_where_that_is_asked_for(source: Path, pair: Pair, tmp_path: Path) -> None:
    minimised(source, tmp_path / "out", pair, MinimiseSettings(trials=30, eps=1))
    for record in Corpus(tmp_path / "out"):
        assert record.minimised is not None
        assert record.minimised.linf[1] <= record.minimised.linf[0]


def test_ties_are_no_flips(source: Path, pair: Pair) -> None:
    from compd.corpus.batching import Models
    from compd.corpus.trials import Outcome

    class Tied(Runtime):
        engine, content_hash = "tied", "0" * 64

        def run(self, images: torch.Tensor) -> torch.Tensor:
            return torch.ones(len(images), 3)

    models = Models(pair.with_deployed(Tied()))
    images = tiny_splits().seeds.images[:4]
    labels = pair.reference.run(images).argmax(1)
    said = models.outcomes(images, labels, (labels + 1) % 3, torch.zeros(4))
    assert [one.outcome for one in said] == [Outcome.SHORT] * 4


def test_without_gradients_changes_get_smaller_too(
    source: Path, pair: Pair, tmp_path: Path
) -> None:
    only_run = Pair(
        pair.spec, None, None, device=pair.device, deployed=pair.deployed, reference=pair.reference
    )
    done = minimised(
        source, tmp_path / "small", only_run, MinimiseSettings(trials=120), batch=BATCH
    )
    assert done.gradients == 0
    assert done.left_out == {}
    small = Corpus(tmp_path / "small")
    assert all(replayed.holds for replayed in verify(small, pair))
    cut = stats(small).cut
    assert cut is not None
    assert cut.pixels[1] < cut.pixels[0]
