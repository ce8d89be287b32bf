"""The loop: seeds in batches, proposals judged, findings handed out as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from compd.data import Split
from compd.errors import CompdError, unknown
from compd.fuzz.clock import Clock
from compd.fuzz.findings import Answer, Finding, Summary, Tally
from compd.fuzz.judge import Judge, Judgement, Verdict
from compd.fuzz.strategies import STRATEGIES, Boundary, Proposal, Task, name_of, strategy
from compd.fuzz.streams import seed_key
from compd.images import check_batch, distances, eps_box, pixel_hash
from compd.pair import Pair
from compd.progress import Progress, Report, silent

__all__ = ["Campaign", "Settings", "fuzz"]


@dataclass(frozen=True)
class Settings:
    """All of a campaign but its pair and its seeds.

    Raises:
        CompdError: if a value makes no sense.
    """

    strategy: Any = field(default_factory=Boundary)  # a registered configuration, or its name
    limit: int | None = None  # seeds to search from; None for all
    eps: int | None = None  # Linf bound in levels of 255; None for the whole lattice
    random_seed: int = 0  # of all draws; each depends on it and on the seed image alone
    batch: int | None = None  # seeds a batch; None for a sensible number for the device
    keep: str = "effective"  # or "valid": hand out candidates that changed no answer, too
    seconds: float | None = None  # budget of wall time

    def __post_init__(self) -> None:
        if isinstance(self.strategy, str):
            object.__setattr__(self, "strategy", strategy(self.strategy))
        name_of(self.strategy)  # raises if it is of no registered strategy
        if self.keep not in ("effective", "valid"):
            raise unknown("keep", self.keep, ("effective", "valid"))
        if self.eps is not None and not 1 <= self.eps <= 255:
            raise CompdError(f"expected eps in 1..255 (levels of 255), got eps={self.eps}")
        if self.limit is not None and self.limit < 1:
            raise CompdError(f"expected at least one seed, got seeds={self.limit}")
        if self.batch is not None and self.batch < 1:
            raise CompdError(f"expected at least one seed a batch, got batch={self.batch}")
        if self.seconds is not None and not self.seconds > 0:
            raise CompdError(f"expected a positive time, got time={self.seconds}")
        if not 0 <= self.random_seed < 2**63:
            raise CompdError(f"expected 0 <= random_seed < 2**63, got {self.random_seed}")


def fuzz(
    pair: Pair,
    seeds: Split,
    *,
    stop: threading.Event | None = None,
    report: Report = silent,
    **settings: Any,
) -> Campaign:
    """Search for inputs on which the deployed model leaves the original's answer.

    Nothing runs until the result is iterated; each iteration step hands out one finding, and
    ``summary()`` gives the numbers at any time.

    Args:
        pair: what to test.
        seeds: clean images to start from; those on which the pair disagrees are set aside.
        stop: set it from another thread, or a signal handler, to end after the current step.
        report: told of progress after each step.
        settings: the fields of :class:`Settings`.

    Raises:
        CompdError: if a setting makes no sense or the seeds do not fit the pair.
    """
    return Campaign(pair, seeds, Settings(**settings), stop=stop, report=report)


def _changed(candidates: Tensor, seeds: Tensor) -> Tensor:
    """(N,) whether a candidate differs from its seed: an untouched one is never a finding."""
    return (candidates != seeds).flatten(1).any(1)


class Campaign:
    """A running or finished campaign; iterate it for the findings."""

    def __init__(
        self,
        pair: Pair,
        seeds: Split,
        settings: Settings,
        *,
        stop: threading.Event | None = None,
        report: Report = silent,
    ) -> None:
        check_batch(seeds.images, "seeds")
        pair.check_input(seeds.images, "seeds")
        self.pair = pair
        self.settings = settings
        self.batch = settings.batch or (64 if pair.device.type == "cpu" else 512)
        self.data = seeds.data
        self._split = seeds
        self._stop = stop or threading.Event()
        self._report = report
        self._tally = Tally()
        self._running = False
        self._set_aside = 0
        self._stopped = "interrupted"  # until it ends by itself
        self._begun = self._ended = time.perf_counter()
        self._clock = Clock()

    def __iter__(self) -> Iterator[Finding]:
        for findings in self.steps():
            yield from findings

    def steps(self) -> Iterator[list[Finding]]:
        """The findings of each step of each batch, as soon as they are judged."""
        if self._running:
            raise CompdError("expected a campaign to be run once, got a second run; make a new one")
        self._running = True
        self._begun = time.perf_counter()
        judge = Judge(self.pair, self._clock)
        chosen, labels = self._agreeing(judge)
        for start in range(0, len(chosen), self.batch):
            span = slice(start, start + self.batch)
            yield from self._search(judge, chosen[span], labels[span], len(chosen))
            if self._stop.is_set() or self._out_of_time():
                self._stopped = "interrupted" if self._stop.is_set() else "time"
                return
        self._stopped = "done"

    def summary(self) -> Summary:
        """The campaign in numbers, so far."""
        return self._tally.summary(
            set_aside=self._set_aside,
            seconds=self._ended - self._begun,
            model_seconds=self._clock.seconds,
            stopped=self._stopped,
        )

    def _agreeing(self, judge: Judge) -> tuple[Tensor, Tensor]:
        """The first ``limit`` rows on which both models agree, and their labels."""
        found: list[Tensor] = []
        labels: list[Tensor] = []
        wanted = len(self._split) if self.settings.limit is None else self.settings.limit
        count = 0
        for start in range(0, len(self._split), 256):
            images = self._split.images[start : start + 256]
            answers, agree = judge.untouched(images)
            rows = agree.nonzero()[:, 0][: wanted - count]
            count += len(rows)
            looked_at = int(rows[-1]) + 1 if count == wanted and len(rows) else len(images)
            self._set_aside += int((~agree[:looked_at]).sum())
            found.append(rows + start)
            labels.append(answers[rows])
            if count == wanted or self._stop.is_set():
                break
        self._tick()
        return torch.cat(found), torch.cat(labels)

    def _search(
        self, judge: Judge, chosen: Tensor, labels: Tensor, total: int
    ) -> Iterator[list[Finding]]:
        """Run the strategy on one batch of seeds; ``chosen`` are rows of the split."""
        images = self._split.images[chosen]
        hashes = [pixel_hash(image) for image in images]
        low, high = eps_box(images, self.settings.eps)
        task = Task(
            self.pair, images, labels, low, high, keys=[seed_key(h) for h in hashes],
            random_seed=self.settings.random_seed, clock=self._clock,
        )  # fmt: skip
        self._tally.seeds += len(chosen)
        before = self._tally.seeds - len(chosen)
        search = STRATEGIES[name_of(self.settings.strategy)].search(self.settings.strategy, task)
        judgement: Judgement | None = None
        asked = torch.zeros(len(chosen), dtype=torch.int64)  # candidates judged so far, per seed
        while True:
            try:
                proposal = next(search) if judgement is None else search.send(judgement)
            except StopIteration:
                break
            candidates = torch.minimum(
                torch.maximum(proposal.images, low[proposal.seeds]), high[proposal.seeds]
            )
            check_batch(candidates, "candidates")
            judgement = judge(candidates, labels[proposal.seeds])
            judgement = judgement.only(_changed(candidates, images[proposal.seeds]))
            findings = self._findings(proposal, judgement, chosen, images, hashes, labels, asked)
            self._tally.forwards += len(candidates)
            self._tally.gradients += task.gradients
            task.gradients = 0
            asked += torch.bincount(proposal.seeds, minlength=len(asked))
            self._tick()
            planned = getattr(self.settings.strategy, "steps", 0)
            share = min(1.0, task.passes / planned) if planned else 0.0
            self._report_progress(before + int(share * len(chosen)), total)
            yield findings
            if self._stop.is_set() or self._out_of_time():
                search.close()
                break

    def _findings(
        self, proposal: Proposal, judgement: Judgement, chosen: Tensor, images: Tensor,
        hashes: list[str], labels: Tensor, asked: Tensor,
    ) -> list[Finding]:  # fmt: skip
        """Count a judged proposal; build findings of what is to be kept."""
        tally = self._tally
        effective, valid = int(judgement.effective.sum()), int(judgement.valid.sum())
        tally.counts[Verdict.EFFECTIVE] += effective
        tally.counts[Verdict.VALID] += valid
        tally.counts[Verdict.INVALID] += len(judgement.images) - effective - valid
        keep_valid = self.settings.keep == "valid"
        wanted = judgement.effective | judgement.valid if keep_valid else judgement.effective
        rows = wanted.nonzero()[:, 0]
        far = distances(judgement.images[rows], images[proposal.seeds[rows]])
        findings = []
        for n, i in enumerate(rows.tolist()):
            seed = int(proposal.seeds[i])
            row = int(chosen[seed])
            changed = int(far.linf[n]) > 0
            finding = Finding(
                image=judgement.images[i],
                seed_image=images[seed],
                sha256=pixel_hash(judgement.images[i]),
                seed_sha256=hashes[seed],
                seed_row=self._split.row(row),
                seed_label=int(labels[seed]),
                true_label=int(self._split.labels[row]),
                verdict=judgement.verdict(i),
                original=Answer.of(judgement.original, i, self.pair.classes),
                deployed=Answer.of(judgement.deployed, i, self.pair.classes),
                severity=round(float(judgement.severity[i]), 6),
                linf=int(far.linf[n]),
                l2=round(float(far.l2[n]), 6),
                psnr=round(float(far.psnr[n]), 3) if changed else None,
                step=int(asked[seed]),
            )
            if finding.verdict is Verdict.EFFECTIVE:
                tally.add(finding)
            findings.append(finding)
        return findings

    def _tick(self) -> None:
        self._ended = time.perf_counter()

    def _out_of_time(self) -> bool:
        budget = self.settings.seconds
        return budget is not None and time.perf_counter() - self._begun >= budget

    def _report_progress(self, done: int, total: int) -> None:
        tally = self._tally
        elapsed = max(self._ended - self._begun, 1e-9)
        best = max(tally.severities, default=0.0)
        facts = {
            "effective seeds": str(len(tally.effective_seeds)),
            "a second": f"{len(tally.effective_seeds) / elapsed:.1f}",
            "best severity": f"{best:.2f}",
        }
        self._report(Progress("searching", done, total, facts))
