"""Stored deviations as tests: which there are, what they say, and what a wrong option says."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch
from tiny import tiny_original, tiny_pair, tiny_spec

from compd.compress import Prune
from compd.corpus import Corpus, Record
from compd.images import pixel_hash
from compd.pair import Pair
from compd.search import Judge
from compd.testing import replays
from compd.testing.replays import Replays


@pytest.fixture
def options(project: Path) -> list[object]:
    return ["--compd-corpus", project / "found", "--compd-pair", project / "pair"]


def records(project: Path) -> list[Record]:
    return list(Corpus(project / "found"))


def agreeing_pair(folder: Path) -> Path:
    """A pair whose deployed model is the original."""
    same = tiny_original()
    Pair(tiny_spec(Prune()), same, same, device=torch.device("cpu")).save(folder)
    return folder


def test_each_deviation_is_a_test_with_an_id_of_its_own(run, options, project):
    result = run("--collect-only", "-q", *options)
    ids = [
        f"compd::found::{record.sha256[:12]}[{record.original.name}->{record.deployed.name}]"
        for record in records(project)
    ]
    assert [line for line in result.outlines if "::" in line] == ids


def test_what_still_deviates_fails_and_says_all_about_it(run, options, project):
    result = run(*options)
    result.assert_outcomes(failed=8)
    first = records(project)[0]
    said, shipped = first.original, first.deployed
    told = f"""\
the deployed model deviates: {first.flip}, severity {first.severity:.4f} (stored: {first.flip}, \
{first.severity:.4f})
  original  {said.name} {said.confidence:.4f}, margin {said.margin:.4f}
  deployed  {shipped.name} {shipped.confidence:.4f}, margin {shipped.margin:.4f}
  seed      {first.seed_row} of tiny, Linf {first.linf}/255, L2 per pixel {first.l2:g}
  look      compd corpus show {first.sha256[:12]} --corpus {project / "found"}
"""
    assert told in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_what_no_longer_deviates_passes(run, project, tmp_path):
    pair = agreeing_pair(tmp_path / "pair")
    run("--compd-corpus", project / "found", "--compd-pair", pair).assert_outcomes(passed=8)


def test_where_the_original_answers_otherwise_the_test_is_skipped(run, project, tmp_path):
    found = Corpus(project / "found")
    other = Corpus(tmp_path / "other", create=True)
    for record in found:
        label = 3 - record.seed_label - record.deployed.label  # the third class
        changed = dataclasses.replace(record, seed_label=label)
        other.add([(changed, found.image(record), found.seed_image(record))])
    result = run("--compd-corpus", tmp_path / "other", "--compd-pair", project / "pair", "-rs")
    result.assert_outcomes(skipped=8)
    result.stdout.fnmatch_lines(["*the corpus is of another one*"])


def test_junit_has_flip_margins_and_properties(run, options, project, tmp_path):
    run(*options, "-k", records(project)[2].sha256[:12], "--junitxml", tmp_path / "out.xml")
    (case,) = ElementTree.parse(tmp_path / "out.xml").getroot().iter("testcase")
    assert case.get("classname") == "compd.found"
    failure = case.find("failure")
    assert failure is not None
    assert "margin" in failure.attrib["message"]
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert properties["sha256"] == records(project)[2].sha256


@pytest.mark.slow
def test_accepted_deviations_are_expected_to_fail(run, project, tmp_path):
    corpus = shutil.copytree(project / "found", tmp_path / "found")
    accepted, other = records(project)[:2]
    why = "blurred: nobody can tell"
    line = f"{accepted.sha256}\t{accepted.flip}\t{accepted.severity:.2f}\t{why}\n"
    (corpus / "baseline.txt").write_text(line, encoding="utf-8")
    options = ["--compd-corpus", corpus, "--compd-pair", project / "pair", "-rx"]
    result = run(*options)
    result.assert_outcomes(failed=7, xfailed=1)
    result.stdout.fnmatch_lines(["*accepted: blurred: nobody can tell"])
    (tmp_path / "mine.txt").write_text(f"{other.sha256}\t{other.flip}\t1.00\tmine\n" + line)
    run(*options, "--compd-baseline", tmp_path / "mine.txt").assert_outcomes(failed=6, xfailed=2)
    # as the gate has it: what was accepted as another flip, or as a milder one, was not accepted
    (tmp_path / "mine.txt").write_text(f"{other.sha256}\tx → y\t1.00\tmine\n" + line)
    run(*options, "--compd-baseline", tmp_path / "mine.txt").assert_outcomes(failed=7, xfailed=1)
    pair = agreeing_pair(tmp_path / "same")
    run("--compd-corpus", corpus, "--compd-pair", pair).assert_outcomes(passed=8)


def test_a_damaged_picture_fails_its_own_test_in_one_line(run, options, project, tmp_path):
    corpus = shutil.copytree(project / "found", tmp_path / "found")
    sha256 = records(project)[3].sha256
    (corpus / "images" / sha256[:2] / f"{sha256}.png").write_bytes(b"not a picture")
    result = run("--compd-corpus", corpus, "--compd-pair", agreeing_pair(tmp_path / "same"))
    result.assert_outcomes(passed=7, failed=1)
    result.stdout.fnmatch_lines([f"FAILED *compd::found::{sha256[:12]}* - expected a readable*"])
    assert "Traceback" not in result.stdout.str()


def test_an_id_can_be_given_back(run, options, project):
    first, second = records(project)[:2]
    run(*options, f"compd::found::{first.sha256[:12]}").assert_outcomes(failed=1)
    flip = f"{second.original.name}->{second.deployed.name}"
    run(*options, f"compd::found::{second.sha256[:12]}[{flip}]").assert_outcomes(failed=1)
    run(*options, f"../compd::found::{first.sha256[:12]}").assert_outcomes(failed=1)
    run(*options, "compd::found").assert_outcomes(failed=8)


def test_the_configuration_says_the_same_and_files_are_run_alone(run, project, pytester):
    pytester.makeini(
        f"[pytest]\ncompd_corpus = {project / 'found'}\ncompd_pair = {project / 'pair'}\n"
    )
    file = pytester.makepyfile("def test_other(compd_pair): assert compd_pair.classes[0] == 'red'")
    run().assert_outcomes(passed=1, failed=8)
    run(file).assert_outcomes(passed=1)
    run("-m", "not compd").assert_outcomes(passed=1, deselected=8)


def test_a_pair_can_come_from_a_function(run, project, pytester):
    make = f"def make(): return Pair.load({str(project / 'pair')!r})"
    pytester.makepyfile(mine=f"from compd import Pair\n{make}\nbad = 3\n")
    options = ["--compd-corpus", project / "found", "--compd-pair"]
    run(*options, "mine:make").assert_outcomes(failed=8)
    result = run(*options, "mine:bad")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.slow
def test_workers_share_the_tests(run, options):
    pytest.importorskip("xdist")
    run(*options, "-n", "2").assert_outcomes(failed=8)


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["here", "xdist"])
@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--compd-corpus", "nowhere", "--compd-pair", "PAIR"], "expected a corpus"),
        (["--compd-corpus", "empty", "--compd-pair", "PAIR"], "got an empty corpus"),
        (["--compd-corpus", "CORPUS"], "expected one pair, got 0; name it with --compd-pair"),
        (["--compd-corpus", "CORPUS", "--compd-pair", "nowhere"], "expected a pair directory"),
        (["--compd-corpus", "CORPUS", "--compd-pair", "no:thing"], "to return a compd.Pair"),
        (
            ["--compd-corpus", "CORPUS", "--compd-pair", "PAIR", "--compd-baseline", "none.txt"],
            "none.txt",
        ),
        (["compd::found"], "name it with --compd-corpus"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_4(run, project, pytester, args, said, workers):
    if workers:
        pytest.importorskip("xdist")
    Corpus(pytester.path / "empty", create=True).make()
    places = {"CORPUS": project / "found", "PAIR": project / "pair"}
    result = run(*(places.get(arg, arg) for arg in args), *workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line][:1] == [result.errlines[0]]
    assert result.errlines[0].startswith("ERROR: ")
    assert said in result.errlines[0]
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_fixture_without_a_pair_says_so_in_one_line(run, pytester):
    pytester.makepyfile("def test_other(compd_pair): pass")
    result = run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["expected one pair, got 0; *"])


class TestBatches:
    """One model call serves many tests, and none is made for tests that are not run."""

    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        made: list[int] = []

        class Counting(Judge):
            def confirm(self, candidates, labels):
                made.append(len(candidates))
                return super().confirm(candidates, labels)

        monkeypatch.setattr(replays, "Judge", Counting)
        return made

    def many(self, project: Path, count: int) -> list[Record]:
        """Records of the corpus again and again, told apart by a hash that nobody looks up."""
        known = records(project)
        return [
            dataclasses.replace(known[i % len(known)], sha256=f"{i:064x}") for i in range(count)
        ]

    def corpus(self, project: Path) -> Corpus:
        found = Corpus(project / "found")
        known = records(project)
        corpus = Corpus(project / "found")
        corpus.image = lambda one: found.image(known[int(one.sha256, 16) % len(known)])  # type: ignore[method-assign]
        return corpus

    def test_a_thousand_entries_take_16_calls(self, calls, project):
        chosen = self.many(project, 1000)
        every = Replays(self.corpus(project), chosen, tiny_pair(), all_wanted=True)
        for record in chosen:
            assert every.of(record).verdict is not None
        assert calls == [64] * 15 + [40]

    def test_a_worker_judges_little_that_is_not_its_own(self, calls, project):
        chosen = self.many(project, 1000)
        mine = Replays(self.corpus(project), chosen, tiny_pair(), all_wanted=False)
        for record in chosen[400:650]:
            mine.of(record)
        assert calls == [8, 16, 32, 64, 64, 64, 64]
        assert mine.judged == sum(calls)

    def test_of_deselected_tests_none_is_judged(self, calls, run, options, project):
        chosen = records(project)
        run(*options, "-k", f"{chosen[1].sha256[:12]} or {chosen[5].sha256[:12]}")
        assert calls == [2]


def test_loading_the_plugin_imports_neither_torch_nor_numpy():
    code = (
        "import sys, compd.testing, compd.testing.plugin; "
        "print([m for m in ('torch', 'numpy', 'hypothesis') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pixel_hashes_are_what_ids_start_with(project):
    found = Corpus(project / "found")
    assert all(pixel_hash(found.image(record)) == record.sha256 for record in found)
