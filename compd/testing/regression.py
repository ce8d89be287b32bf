"""Stored deviations as tests: collected from corpora, judged together, reported one by one."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compd.corpus import Corpus, Record, Replayed
from compd.errors import CompdError, SettingError
from compd.gating import (
    Baseline,
    Known,
    Policy,
    Status,
    as_judged,
    baseline_of,
    find_policy,
    status_of,
)
from compd.search.judge import Verdict
from compd.testing.replays import PairOption, Replays
from compd.wording import command

__all__ = ["Regression"]


class Regression:
    """Hooks of a run in which corpora are tests.

    Args:
        corpora: folders.
        baselines: files that say what is accepted; none for those in the corpora.
        option: the pair.
        wanted: ids of the only tests to collect; empty for all.
    """

    def __init__(
        self,
        corpora: Sequence[Path],
        baselines: Sequence[Path],
        option: PairOption,
        wanted: frozenset[str],
    ) -> None:
        self._paths, self._baselines = corpora, baselines
        self._option, self._wanted = option, wanted
        self._corpora: dict[str, Corpus] = {}
        self._accepted = Baseline()
        self._policy = Policy()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Open the corpora; what is wrong with them ends the run here."""
        try:
            if not self._paths:
                raise SettingError(
                    f"expected a corpus for {min(self._wanted)!r}, got none; name it with "
                    "--compd-corpus DIR"
                )
            for path in dict.fromkeys(path.resolve() for path in self._paths):
                corpus = Corpus(path)
                if not any(record.verdict is Verdict.EFFECTIVE for record in corpus):
                    raise SettingError(
                        f"expected deviations to test, got an empty corpus: {str(path)!r}"
                    )
                name = path.name
                if name in self._corpora:
                    name = f"{path.parent.name}/{name}"
                self._corpora[name] = corpus
            self._policy, _ = find_policy(session.config.rootpath)
            own = [baseline_of(corpus.directory) for corpus in self._corpora.values()]
            for file in self._baselines or own:
                baseline = Baseline.load(file, missing=file in own)
                self._accepted = self._accepted.accepting(baseline.values())
            if len(self._option.given) != 1 or _shares_tests(session.config):
                self._option.open()  # the workers, which need it, cannot say what is wrong with it
        except CompdError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_report_header(self) -> list[str]:
        """Say which corpora, and how many entries."""
        return [
            f"compd: {name}, {len(corpus)} entries, pair {self._option.given[0]}"
            for name, corpus in self._corpora.items()
        ]

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the corpora to what is collected from arguments."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result = [*(report.result or ()), *self._nodes(collector)]
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Once it is known which tests will be run: open the pair, if it is needed."""
        items = [item for item in session.items if isinstance(item, Deviation)]
        if not items or session.config.option.collectonly or _shares_tests(session.config):
            return
        alone = not hasattr(session.config, "workerinput")
        try:
            pair = self._option.open()
        except CompdError as error:
            raise pytest.UsageError(str(error)) from error
        for node in {item.node for item in items}:
            records = [item.record for item in items if item.node is node]
            node.replays = Replays(node.corpus, records, pair, all_wanted=alone)

    def _nodes(self, session: pytest.Session) -> Iterator[CorpusNode]:
        for name, corpus in self._corpora.items():
            node = CorpusNode.from_parent(session, name=name, nodeid=f"compd::{name}")
            node.corpus, node.wanted, node.policy = corpus, self._wanted, self._policy
            node.known = Known(self._accepted, corpus, by=self._policy.known_by)
            yield node


class CorpusNode(pytest.Collector):
    """A corpus among what pytest collects."""

    corpus: Corpus
    known: Known
    policy: Policy
    wanted: frozenset[str]
    replays: Replays

    def collect(self) -> Iterator[Deviation]:
        """A test for each effective entry."""
        for record in self.corpus:
            if record.verdict is not Verdict.EFFECTIVE:
                continue
            flip = f"{record.original.name}->{record.deployed.name}"
            flip = flip.encode("unicode_escape").decode("ascii")  # as pytest does with ids
            item: Deviation = Deviation.from_parent(self, name=f"{record.sha256[:12]}[{flip}]")
            if self.wanted and not self._is_wanted(item.nodeid):
                continue
            item.record = record
            item.add_marker("compd")
            yield item

    def _is_wanted(self, nodeid: str) -> bool:
        """Whether an id, or its start up to some part, is among those asked for."""
        return any(
            nodeid == one or nodeid.startswith((f"{one}::", f"{one}[")) for one in self.wanted
        )


class Deviation(pytest.Item):
    """The test that a pair no longer deviates where it once did."""

    record: Record

    @property
    def node(self) -> CorpusNode:
        """The corpus that it is of."""
        assert isinstance(self.parent, CorpusNode)
        return self.parent

    def runtest(self) -> None:
        """Judge the image again, with others.

        Raises:
            StillDeviatesError: if the original keeps its label and the deployed model does not, or
                if the entry cannot be judged.
        """
        replay = self.node.replays.of(self.record)
        self.user_properties += [("sha256", self.record.sha256), ("seed", self.record.seed_row)]
        if replay.verdict is None:
            raise StillDeviatesError(replay.problem)
        if replay.verdict is Verdict.EFFECTIVE:
            status, why = self._status(replay)
            if status is Status.ACCEPTED:
                pytest.xfail(f"accepted: {why}")
            if status is Status.MILD:
                pytest.skip(f"mild: {why} ([tool.compd.gate])")
            self.user_properties.append(("severity", round(replay.severity, 6)))
            raise StillDeviatesError(_told(self.record, replay, self.node.corpus.directory))
        if replay.verdict is Verdict.INVALID and replay.original is not None:
            pytest.skip(
                f"the original itself says {replay.original.name} here, and no longer "
                f"{self.record.original.name}: the corpus is of another one"
            )

    def _status(self, replay: Replayed) -> tuple[Status, str]:
        """What the gate would say of it, and why."""
        record, node = replace(as_judged(replay), stability=None), self.node
        return status_of(record, node.known.line(record), node.policy, deviates=True, elsewhere={})

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any) -> Any:
        """What deviates, without a traceback: there is no code of the user's in it."""
        if isinstance(excinfo.value, StillDeviatesError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where it is, for reports."""
        return self.node.corpus.directory / "metadata.jsonl", None, self.nodeid


class StillDeviatesError(AssertionError):
    """The deployed model still leaves the original's answer."""


def _told(record: Record, replay: Replayed, directory: Path) -> str:
    said, shipped = replay.original, replay.deployed
    assert said is not None
    assert shipped is not None
    try:
        where = directory.relative_to(Path.cwd())
    except ValueError:
        where = directory
    return "\n".join(
        [
            f"the deployed model deviates: {said.name} → {shipped.name}, severity "
            f"{replay.severity:.4f} (stored: {record.flip}, {record.severity:.4f})",
            f"  original  {said.name} {said.confidence:.4f}, margin {said.margin:.4f}",
            f"  deployed  {shipped.name} {shipped.confidence:.4f}, margin {shipped.margin:.4f}",
            f"  seed      {record.seed_row} of {record.seed_data}, Linf {record.linf}/255, L2 per "
            f"pixel {record.l2:g}",
            f"  look      {command('corpus show', record.sha256[:12], corpus=where)}",
        ]
    )


def _shares_tests(config: pytest.Config) -> bool:
    """Whether this process hands the tests to others and runs none (pytest-xdist)."""
    if hasattr(config, "workerinput"):
        return False
    return bool(config.getoption("dist", "no") != "no")
