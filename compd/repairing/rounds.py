"""The loop: fine-tune, convert, search again, keep the best."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from compd.compress import Tuning, tuning_of
from compd.control import QUIET, Control
from compd.data import Split
from compd.pair import Pair
from compd.repairing.interpolation import Interpolation, interpolated
from compd.repairing.methods import Bench, Schedule, loss_of
from compd.repairing.selection import (
    Deviations,
    Untouched,
    Watch,
    best_of,
    bound_of_searches,
    mean_severity,
    search_round,
)
from compd.repairing.settings import RepairSettings
from compd.repairing.state import State, save_state

__all__ = ["Rounds", "shortened", "step_seconds", "steps_within"]

_WATCH = 8  # steps from one look at the loss to the next: reading it waits for the device
_CLIP = 5.0  # norm of a gradient, at most
_FEWEST = 10  # steps that are worth a round
_SMALLEST = 1e-2  # what a tensor of zeros counts as, which could not move otherwise
_CALMER = 4.0  # by which the learning rate falls after a round that brought nothing
_TRY = 2  # steps that are timed to plan a round


@dataclass
class Rounds:
    """A repair that goes on from ``state``; :meth:`run` changes the state until it is done."""

    start: Pair  # as it was before
    others: Sequence[Pair]  # that training may start from, too
    bench: Bench  # its shadow is replaced each round
    selection: Split
    settings: RepairSettings
    state: State
    checkpoint: Path
    control: Control = QUIET
    save_every: float = 20.0  # seconds, at least
    pair: Pair = field(init=False)  # what training starts from, once that is known

    def run(self) -> None:
        """Go on until the target is met, rounds bring nothing, or the budget is spent.

        Each round starts from the best one so far; after one that brought nothing, at a quarter of
        the learning rate.

        Raises:
            Stopped: if it is told to stop. All training is saved by then; a search that was
                under way is done again.
        """
        state = self.state
        self._spent, self._begun = state.seconds, time.perf_counter()
        self._watch = Watch.of(self.start, self.selection)
        if not state.seen:
            self._search_start()
            state.base = self._mildest()
            self.pair = (self.start, *self.others)[state.base]
            state.best = state.shadow = _copied(self.pair.shadow)
            self._save()
        self.pair = (self.start, *self.others)[state.base]
        while not self._done():
            number = len(state.seen)
            shadow: nn.Module = copy.deepcopy(self.pair.shadow)
            if self._train_(shadow, number):
                made = self._interpolated(shadow)
                shadow = made.pair.shadow
                self._search(made.pair, made.untouched, made.share)
            else:
                state.notes.append(f"round {number} diverged after {state.step} steps")
                state.seen.append(replace(state.seen[0], round=number, diverged=True))
            if best_of(state.seen, self.settings) == number:
                state.best = _copied(shadow)
            else:
                state.rate /= _CALMER
            state.shadow = state.best
            state.optimiser, state.step, state.steps = None, 0, 0
            self._save()

    def _train_(self, shadow: nn.Module, number: int) -> bool:
        """Train for a round, or for what is left of it; returns False if the loss diverged."""
        state, config = self.state, self.settings.method
        if state.optimiser is None:
            shadow.load_state_dict(state.shadow)
            state.step, state.steps, state.first_loss = 0, self._plan(number), 0.0
        config = self.settings.method.in_round(state.steps)
        tuning = _on_bench_(self.bench, self.pair, shadow, config)
        peak = state.rate * config.peak(state.steps, sparing=tuning.sparing)
        optimiser = _optimiser(config, shadow)
        if state.optimiser is not None:  # the middle of a round: learnt scales are among the state
            shadow.load_state_dict(state.shadow)
            optimiser.load_state_dict(state.optimiser)
        saved, first, begun = time.monotonic(), state.step, time.perf_counter()
        while (step := state.step) < state.steps:
            rate = lr_at(step, state.steps, peak)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["size"]
            loss = loss_of(config, self.bench, _draw(self.settings, number, step))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(shadow.parameters(), _CLIP)
            optimiser.step()
            tuning.after_step_(shadow)
            state.step = step + 1
            if step % _WATCH == 0 or state.step == state.steps:
                value = float(loss.detach())
                worst = max(
                    config.hopeless(len(self.pair.classes)), 2 * (state.first_loss or value)
                )
                if not value <= worst:  # worse than guessing; NaN is not less either
                    return False
                state.first_loss = state.first_loss or value
                self._report_step(number, value)
            due = state.step == state.steps or time.monotonic() >= saved + self.save_every
            if due or self.control.stopped:
                if self.settings.seconds is not None:
                    pace = (time.perf_counter() - begun) / (state.step - first)
                    state.steps = shortened(
                        state.step, state.steps, state.ends - self._clock(), pace
                    )
                state.shadow, state.optimiser = _copied(shadow), optimiser.state_dict()
                self._save()
                self.control.check()
                saved = time.monotonic()
        tuning.finish_(shadow)
        shadow.requires_grad_(False)
        return True

    def _interpolated(self, trained: nn.Module) -> Interpolation:
        state = self.state
        if self.settings.keep == "last":
            pair = self.pair.with_shadow(trained)
            return Interpolation(pair, self._watch.untouched(pair), 1.0)

        def keeps(untouched: Untouched) -> bool:
            self.control.check()
            return untouched.keeps(state.seen[0], self.settings)

        def left(pair: Pair) -> float:
            return self._deviations.left(pair)

        return interpolated(self.pair, state.best, trained, self._watch, keeps=keeps, left=left)

    @cached_property
    def _deviations(self) -> Deviations:
        return Deviations.of(
            self.start, self.selection, self.settings, self.state.eps, self.control
        )

    def _plan(self, number: int) -> int:
        """Steps of a round. With a budget of time, the rounds that are left share what is left."""
        if self.settings.seconds is None:
            return self.settings.method.steps_for(len(self.bench.images))
        left = (self.settings.seconds - self._clock()) / (self.settings.rounds - number + 1)
        left -= self.state.search_seconds
        self.state.ends = self._clock() + left
        return steps_within(left, self.pair, self.bench, self.settings)

    def _search_start(self) -> None:
        """Search the start, within a bound at which it can still get better or worse."""
        state = self.state
        state.eps = self.settings.eps
        untouched = self._watch.untouched(self.start)
        self._search(self.start, untouched)
        while (smaller := bound_of_searches(state.seen[0], state.eps)) is not None:
            state.eps = smaller
            state.seen.clear()
            self._search(self.start, untouched)

    def _mildest(self) -> int:
        """Which to train from: 0 for the start, else the number of one of the others, from 1.

        A search without a bound goes to where activations leave their ranges, and there a grid that
        is finer within them does worse: PyTorch's 7 bits clip at twice these ranges.
        """
        severities = [self.state.seen[0].severity]
        for one in self.others:
            severities.append(
                mean_severity(
                    one,
                    self.selection,
                    self.settings,
                    eps=self.state.eps,
                    control=self.control,
                )
            )
            self.control.check()
        return severities.index(min(severities))

    def _search(self, pair: Pair, untouched: Untouched, blend: float = 1.0) -> None:
        begun = time.perf_counter()
        seen = search_round(
            pair,
            untouched,
            self.selection,
            self.settings,
            len(self.state.seen),
            eps=self.state.eps,
            control=self.control,
        )
        self.control.check()
        self.state.search_seconds = time.perf_counter() - begun
        self.state.seen.append(replace(seen, blend=blend))

    def _done(self) -> bool:
        state, settings = self.state, self.settings
        best = best_of(state.seen, settings)
        rounds = len(state.seen) - 1
        if rounds >= settings.rounds or rounds - best >= settings.patience:
            return True
        if best and settings.target is not None and state.seen[best].severe <= settings.target:
            return True
        left = math.inf if settings.seconds is None else settings.seconds - self._clock()
        return state.step == 0 and left < state.search_seconds

    def _clock(self) -> float:
        return self._spent + time.perf_counter() - self._begun

    def _save(self) -> None:
        self.state.seconds = self._clock()
        save_state(self.state, self.checkpoint)

    def _report_step(self, number: int, loss: float) -> None:
        state = self.state
        facts = {"loss": f"{loss:.4f}"}
        if len(state.seen) > 1:
            facts["severity"] = f"{state.seen[0].severity:.2f} -> {state.seen[-1].severity:.2f}"
        stage = f"repairing, round {number} of {self.settings.rounds}"
        self.control.report(stage, state.step, state.steps, facts)


def steps_within(seconds: float, pair: Pair, bench: Bench, settings: RepairSettings) -> int:
    """Steps of a round that has so long: those that fit, but no more than the method asks for."""
    method = settings.method
    steps = int(seconds / step_seconds(pair, bench, settings))
    if (longer := method.in_round(steps)) is not method:
        steps = int(seconds / step_seconds(pair, bench, replace(settings, method=longer)))
    steps = max(_FEWEST, steps)
    return min(steps, method.steps or steps)


def shortened(step: int, steps: int, left: float, pace: float) -> int:
    """Steps of a round under way: as planned, or fewer if it is slower than it was to be.

    Args:
        step: steps done.
        steps: as planned.
        left: seconds.
        pace: seconds a step.
    """
    return min(steps, step + max(1, int(left / pace)))


def step_seconds(pair: Pair, bench: Bench, settings: RepairSettings) -> float:
    """How long one training step takes, by trying some on a copy of the shadow."""
    shadow: nn.Module = copy.deepcopy(pair.shadow)
    _on_bench_(bench, pair, shadow, settings.method)
    for i in range(_TRY + 1):
        if i == 1:  # the first call sets kernels up
            begun = time.perf_counter()
        loss_of(settings.method, bench, _draw(settings, 0, i)).backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter() - begun) / _TRY


def lr_at(step: int, total: int, peak: float) -> float:
    """Learning rate of a step: a linear warm-up over a tenth, then half a cosine to zero."""
    warm = max(1, total // 10)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _on_bench_(bench: Bench, pair: Pair, shadow: nn.Module, config: Schedule) -> Tuning:
    """Put a shadow on the bench, ready to be trained."""
    tuning = tuning_of(pair.spec.compress, pair.shadow, scales=config.scales)
    tuning.prepare_(shadow)
    shadow.requires_grad_(True)
    bench.shadow = shadow
    return tuning


def _draw(settings: RepairSettings, number: int, step: int) -> torch.Generator:
    """All draws of a step depend on these numbers alone: a resumed run draws the same."""
    seed = (settings.random_seed * 1_000_003 + number) * 1_000_003 + step
    return torch.Generator().manual_seed(seed % 2**63)


def _optimiser(config: Schedule, shadow: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of a round; each step sets its rates.

    Adam moves a weight by about its learning rate, whatever the weight's own size. So each tensor's
    rate is in parts of that size, as in Adafactor (Shazeer and Stern 2018, section 8): one setting
    then fits narrow and wide networks.
    """
    weights = [p for p in shadow.parameters() if p.requires_grad]
    if config.optimiser == "sgd":
        groups = [{"params": weights, "size": 1.0}]
        return torch.optim.SGD(groups, lr=0.0, momentum=0.9, nesterov=True)
    sizes = [float(p.detach().square().mean().sqrt()) for p in weights]
    return torch.optim.Adam(
        [
            {"params": [p], "size": min(max(size, _SMALLEST), 1.0)}
            for p, size in zip(weights, sizes, strict=True)
        ],
        lr=0.0,
    )


def _copied(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().cpu().clone() for key, value in module.state_dict().items()}
