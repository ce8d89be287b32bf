"""The loop: seeds in groups, proposals judged, findings handed out as they come."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from compd.compress import Given
from compd.control import QUIET, Control, Outcome
from compd.data import Split
from compd.errors import SettingError
from compd.images import check_batch
from compd.models.inputs import fitting
from compd.pair import Pair
from compd.search.bounds import Bound
from compd.search.findings import Finding, Flipped, Summary, Tally
from compd.search.group import Group
from compd.search.judge import Judge, Judgement, Verdict
from compd.search.seeds import agreeing
from compd.search.settings import SearchSettings
from compd.search.strategies import STRATEGIES, Blackbox, Proposal, Task
from compd.text import shortened
from compd.wording import Worded, setting

__all__ = ["Campaign"]

# Seeds that are searched together: while some finish early, model calls stay full. The boundary
# walk keeps up to two dozen float copies of them (measured on photographs: 0.4 GB).
_TOGETHER = 256
VALUES = 1 << 22  # in all their images, at most: 27 of 3 x 224 x 224
# What takes over where there is no gradient; most of what it finds comes early.
_RESCUE = Blackbox(queries=400)


class Campaign:
    """A running or finished campaign; iterate it for the findings.

    Args:
        pair: the models.
        seeds: what to search from.
        settings: of the search.
        values: in all images of the seeds that are searched together, at most; no result depends on
            it.
        control: told of progress, and asked whether to stop.
    """

    def __init__(
        self,
        pair: Pair,
        seeds: Split,
        settings: SearchSettings,
        *,
        values: int = VALUES,
        control: Control = QUIET,
    ) -> None:
        check_batch(seeds.images, "seeds")
        pair.check_input(seeds.images, "seeds")
        if not len(seeds):
            raise SettingError("expected at least one seed image, got an empty split")
        self.pair = pair
        self.notes = list(pair.notes)  # of the pair, and what the campaign decided by itself
        chosen = settings.strategy
        name = STRATEGIES.name_of(chosen)
        if STRATEGIES[name].gradients and not pair.has_shadow:
            lacks = "shadow" if pair.can_differentiate_original else "original"
            self.notes.append(
                f"blackbox instead of {name}: the pair has no {lacks} to differentiate"
            )
            settings = replace(settings, strategy=_with(settings.queries, Blackbox()))
        if not STRATEGIES.of(settings.strategy).bounded and settings.eps is not None:
            self.notes.append(f"{name} has no bound: eps {settings.eps} is left out")
            settings = replace(settings, eps=None, norm="linf")
        settings.objective.check(pair.classes)
        self.settings = settings
        self.outcome = Outcome.INTERRUPTED  # until it ends by itself
        # Gradients that are not the deployed model's own may lead nowhere.
        made = pair.spec.compress
        self._rough = isinstance(made, Given) and made.shadow in ("quantised", "original")
        self.data = seeds.data
        self._split = seeds
        self._control = control.timed
        self._values = values
        self._tally = Tally()
        self._running = False
        self._took_over = self.settings.strategy is not chosen  # blackbox, from the strategy
        self._set_aside = self._wrong = 0
        # seeds with a deviation that waits for its proof, and the best severity of these
        self._unproved = 0, 0.0
        self._begun = self._ended = time.perf_counter()

    def __repr__(self) -> str:
        name, eps = STRATEGIES.name_of(self.settings.strategy), self.settings.eps
        state = "not run yet"
        if self._running:
            under_way = self.outcome is Outcome.INTERRUPTED and not self._control.stopped
            found = len(self._tally.flipped)
            state = f"{found} of {self._tally.seeds} seeds deviate, "
            state += "under way" if under_way else str(self.outcome)
        bound = "no bound" if eps is None else f"{self.settings.norm} {eps}/255"
        return shortened(
            f"Campaign({name} from {len(self._split)} images of {self.data}, {bound}: {state})"
        )

    @property
    def batch(self) -> int:
        """Images a model call."""
        return self.pair.batch

    def __iter__(self) -> Iterator[Finding]:
        for findings in self.steps():
            yield from findings

    def steps(self) -> Iterator[list[Finding]]:
        """The findings of each step of each batch, as soon as they are judged."""
        if self._running:
            raise SettingError(
                "expected a campaign to be run once, got a second run; make a new one"
            )
        self._running = True
        self._begun = time.perf_counter()
        settings, classes = self.settings, self.pair.classes
        judge = Judge(self.pair, self._control, objective=settings.objective)
        objective = settings.objective
        seeds = agreeing(
            self.pair,
            self._split,
            limit=settings.limit,
            label=objective.label_of(objective.source, classes),
            but=objective.label_of(objective.target, classes),  # what has it cannot go over to it
            right=settings.wrong_seeds == "aside",
            control=self._control,
        )
        chosen, labels = seeds.rows, seeds.labels
        self._set_aside, self._wrong = seeds.set_aside, seeds.wrong
        self._tick()
        shape = self._split.images.shape[1:]
        together = max(self.batch, fitting(_TOGETHER, shape, values=self._values))
        if self._control.stopped:
            return
        for start in range(0, len(chosen), together):
            span = slice(start, start + together)
            yield from self._search(judge, chosen[span], labels[span], len(chosen))
            if self._ended_early():
                self.outcome = Outcome.INTERRUPTED if self._control.stopped else Outcome.TIME
                return
        self.outcome = Outcome.DONE

    def summary(self) -> Summary:
        """The campaign in numbers, so far."""
        notes = list(self.notes)
        queries = self.settings.queries
        if queries is not None and not self._took_over and self.outcome is Outcome.DONE:
            name = STRATEGIES.name_of(self.settings.strategy)
            left = f"is for blackbox, which had nothing to take over from {name}"
            notes.append(Worded(f"{setting('queries', queries)} {left}"))
        if self._tally.blind:
            name = STRATEGIES.name_of(self.settings.strategy)
            taken = "blackbox took over" if STRATEGIES[name].rescued else "nothing was found there"
            why = "a zero or non-finite gradient in"
            if self._rough:
                why = "no deviation by the gradients of another model's shadow with"
            notes.append(f"{self._tally.blind} seeds had {why} {name}; {taken}")
        return self._tally.summary(
            set_aside=self._set_aside,
            wrong=self._wrong,
            seconds=self._ended - self._begun,
            model_seconds=self._control.clock.seconds,
            stopped=str(self.outcome),
            notes=tuple(notes),
        )

    @property
    def searched(self) -> Mapping[str, int]:
        """How many seeds of each class were searched from so far; classes without any are out."""
        counts: Counter[str] = Counter()
        for label, count in sorted(self._tally.searched.items()):
            counts[self.pair.classes[label]] += count
        return dict(counts)

    @property
    def flipped(self) -> Mapping[str, Flipped]:
        """The most severe deviation of each seed that has one, by its row."""
        return dict(self._tally.flipped)

    def _search(
        self, judge: Judge, chosen: Tensor, labels: Tensor, total: int
    ) -> Iterator[list[Finding]]:
        """Search from one group of seeds; ``chosen`` are rows of the split."""
        before = self._tally.seeds
        self._tally.seeds += len(chosen)
        self._tally.searched.update(labels.tolist())
        strategy = self.settings.strategy
        blind = yield from self._run(strategy, judge, chosen, labels, (before, total))
        if STRATEGIES.of(strategy).gradients:
            self._tally.blind += int(blind.sum())
        if blind.any() and STRATEGIES.of(strategy).rescued and not self._ended_early():
            seeing = before + int((~blind).sum())
            self._took_over = True
            rescue = _with(self.settings.queries, _RESCUE)
            yield from self._run(rescue, judge, chosen[blind], labels[blind], (seeing, total))
        if not self._ended_early():
            self._report_progress(before + len(chosen), total)

    def _run(
        self, strategy: Any, judge: Judge, chosen: Tensor, labels: Tensor, progress: tuple[int, int]
    ) -> Generator[list[Finding], None, Tensor]:
        """Run one strategy on some seeds.

        Returns:
            (N,) which of them it had no gradient for, or only that of a rough shadow, and found
            nothing.
        """
        settings, tally = self.settings, self._tally
        images = self._split.images[chosen]
        group = Group(chosen, labels, images)
        task = Task(
            self.pair,
            images,
            labels,
            Bound(settings.eps, settings.norm),
            keys=group.keys,
            random_seed=settings.random_seed,
            target=settings.objective.label_of(settings.objective.target, self.pair.classes),
            goal=settings.goal,
            clock=self._control.clock,
        )
        search = STRATEGIES.of(strategy).search(strategy, task)
        judgement: Judgement | None = None
        while True:
            try:
                proposal = next(search) if judgement is None else search.send(judgement)
            except StopIteration:
                break
            candidates = task.clip(proposal.images, proposal.seeds)
            check_batch(candidates, "candidates")
            proposal = replace(proposal, images=candidates)
            judgement = judge.evaluate(candidates, labels[proposal.seeds])
            # An untouched image is never a finding.
            changed = (candidates != images[proposal.seeds]).flatten(1).any(1)
            judgement = judgement.only(changed)
            tally.evaluated(judgement)
            tally.gradients += task.gradients
            task.gradients = 0
            findings: list[Finding] = []
            if settings.goal == "severe":
                group.remember(proposal, judgement)
            else:
                findings, judgement = self._keep(judge, group, proposal, judgement)
            tally.shifts.add(proposal.shifts, judgement)
            group.found[proposal.seeds[judgement.effective]] = True
            if settings.goal == "severe":
                self._unproved = int(group.found.sum()), group.severity
            group.asked += torch.bincount(proposal.seeds, minlength=len(chosen))
            self._tick()
            self._report_progress(progress[0] + int(task.share * len(chosen)), progress[1])
            yield findings
            if self._ended_early():
                search.close()
                self.notes.append(f"cut short among the last {len(chosen)} seeds")
                break
        self.notes += [note for note in task.notes if note not in self.notes]
        best = group.best()
        self._unproved = 0, 0.0
        if len(best.seeds):  # only with goal "severe" is there something left to prove
            findings, _ = self._confirm(judge, group, best, [Verdict.EFFECTIVE] * len(best.seeds))
            self._tick()
            self._report_progress(progress[0] + len(chosen), progress[1])
            yield findings
        return (task.blind | self._rough) & ~group.found

    def _keep(
        self, judge: Judge, group: Group, proposal: Proposal, judgement: Judgement
    ) -> tuple[list[Finding], Judgement]:
        """Confirm what is worth it; nothing else in the judgement stays effective."""
        wanted = judgement.effective
        if self.settings.keep == "valid":
            wanted = wanted | judgement.valid
        rows = wanted.nonzero()[:, 0]
        seen = [judgement.verdict(i) for i in rows.tolist()]
        findings, proved = self._confirm(judge, group, proposal.chosen(rows), seen)
        confirmed = torch.zeros_like(wanted)
        confirmed[rows] = proved
        return findings, judgement.only(confirmed)

    def _confirm(
        self, judge: Judge, group: Group, proposal: Proposal, seen: list[Verdict]
    ) -> tuple[list[Finding], Tensor]:
        """Judge what is to be kept again, from a PNG; count it and build findings of it.

        Args:
            judge: of the pair.
            group: what the proposal's seeds are of.
            proposal: what is to be kept.
            seen: the verdict on each candidate so far.

        Returns:
            The findings, and which candidates (N,) were proved: those with the same verdict again.
        """
        proved = torch.zeros(len(seen), dtype=torch.bool)
        findings: list[Finding] = []
        if not seen:
            return findings, proved
        judgement = judge.confirm(proposal.images, group.labels[proposal.seeds])
        for i in range(len(seen)):
            if judgement.verdict(i) is not seen[i]:
                continue
            proved[i] = True
            finding = group.finding(judgement, i, proposal, self._split, self.pair.classes)
            if finding.verdict is Verdict.EFFECTIVE:
                self._tally.add(finding)
            findings.append(finding)
        return findings, proved

    def _tick(self) -> None:
        self._ended = time.perf_counter()

    def _ended_early(self) -> bool:
        return self._control.stopped or self._out_of_time()

    def _out_of_time(self) -> bool:
        budget = self.settings.seconds
        return budget is not None and time.perf_counter() - self._begun >= budget

    def _report_progress(self, done: int, total: int) -> None:
        facts = self._tally.facts(self._ended - self._begun, *self._unproved)
        self._control.report("searching", done, total, facts)


def _with(queries: int | None, blackbox: Blackbox) -> Blackbox:
    """The search that takes over, with as many queries as were asked for."""
    return blackbox if queries is None else replace(blackbox, queries=queries)
