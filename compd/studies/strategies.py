"""How training decides what quantisation changes (Hu et al. 2022, RQ2; Xia et al. 2021, §5).

The original is trained on by each strategy at one budget: the same initial weights (its own), the
same order of data, as many steps. Then it is quantised after training; ``qat`` trains the shadow
itself. The published *original* of quantisation-aware training already rounds, so that what is
compared there is the shadow with the deployed model; what a user ships is compared with the
original as it was before any of this. Both are told.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from compd.compress import fine_tuning, make_shadow
from compd.compress.base import check_bits, unfrozen_
from compd.compress.ptq import Ptq
from compd.compress.qat import Qat
from compd.control import Control
from compd.errors import SettingError, unknown
from compd.pair import Pair
from compd.statistics import Share
from compd.studies.base import Study, trainable
from compd.studies.bench import Answered, Bench
from compd.studies.calibration import calibrated
from compd.studies.metrics import mean_of
from compd.text import names_in
from compd.training import TRAINING_STRATEGIES, fit_

__all__ = ["STRATEGIES_STUDY", "Strategies", "StrategiesResult", "StrategyFigures"]

_CPU = torch.device("cpu")
_QAT = "qat"
_LOW_BITS = 4


@dataclass(frozen=True)
class Strategies:
    """Settings of the study."""

    # names with commas (or +, within other settings) between
    strategies: str = "standard,qat,adversarial,mixup,smoothing"
    epochs: int = 3
    lr: float = 0.001  # peak; at 0.01 quantisation-aware training ruins what was learnt
    batch: int = 64
    random_seeds: int = 1  # runs of each, with random seeds 0, 1, …
    activation_bits: int = 7

    def __post_init__(self) -> None:
        for name in self.names:
            if name != _QAT and name.partition(":")[0] not in TRAINING_STRATEGIES:
                raise unknown("strategy", name, [*TRAINING_STRATEGIES, _QAT])
        if self.random_seeds < 1:
            raise SettingError("at least one random seed", random_seeds=self.random_seeds)
        Qat(epochs=self.epochs, lr=self.lr, batch=self.batch)  # raises
        check_bits(8, self.activation_bits, fewest=7)

    @property
    def names(self) -> list[str]:
        """The strategies, the control first."""
        found = names_in(self.strategies.replace("+", ","))
        return ["standard", *(name for name in found if name != "standard")]


@dataclass(frozen=True)
class StrategySet:
    """One set, of the network as it was trained (``float``) and its int8 form."""

    name: str
    accuracy_float: float | None
    accuracy_deployed: float | None
    disagreement: Share  # between these two
    more_than_standard: int  # images, against the standard strategy of the same random seed
    original_disagreement: Share  # of the deployed model with the original that was there before


@dataclass(frozen=True)
class StrategyFigures:
    """One strategy with one random seed."""

    strategy: str
    random_seed: int
    accuracy_float: float | None  # on clean images
    accuracy_deployed: float | None
    mean_change: float | None  # mean over sets of the absolute change of accuracy
    disagreement: Share  # on clean images, of the network as trained with its int8 form
    shifted_disagreement: float | None  # mean over shifted sets
    original_disagreement: Share  # on clean images, of the original before with what ships
    shifted_original_disagreement: float | None
    ece_float: float | None  # on clean images
    low_bits: int | None  # of weights, rounded after training; None for qat
    low_swapped: float | None  # share of clean images that change their answer then
    low_ratio: float | None  # accuracy lost then over that share
    sets: tuple[StrategySet, ...]


@dataclass(frozen=True)
class StrategiesResult:
    """All strategies, seed by seed; the standard one first."""

    epochs: int
    strategies: tuple[StrategyFigures, ...]

    def mean(self, strategy: str, figure: str) -> float | None:
        """The mean over random seeds of a figure, or of the share that it is."""
        values = [getattr(one, figure) for one in self.strategies if one.strategy == strategy]
        shares = [one.share if isinstance(one, Share) else one for one in values]
        known = [one for one in shares if one is not None]
        return sum(known) / len(known) if known else None


def _run(config: Strategies, bench: Bench) -> StrategiesResult:
    names = config.names
    found: list[StrategyFigures] = []
    total = config.random_seeds * len(names)
    for seed in range(config.random_seeds):
        standard: StrategyFigures | None = None
        for name in names:
            facts = {"strategy": name, "random seed": str(seed)}
            bench.control.report("strategies", len(found), total, facts)
            trained, low = _trained(config, bench, name, seed)
            figures = _figures(name, seed, bench, trained, low, standard)
            standard = standard or figures
            found.append(figures)
    bench.control.report("strategies", total, total)
    return StrategiesResult(config.epochs, tuple(found))


def _trained(config: Strategies, bench: Bench, name: str, seed: int) -> tuple[Pair, Pair | None]:
    """The network as trained with its int8 form, and with fewer bits."""
    splits, control = bench.splits, bench.control.quiet
    assert splits is not None
    qat = Qat(
        config.epochs, config.lr, config.batch, activation_bits=config.activation_bits, seed=seed
    )
    if name == _QAT:
        shadow = make_shadow(qat, bench.pair.original, splits, device=_CPU, control=control)
        return _pair(bench.pair, shadow, shadow, qat), None
    network = trained_on(
        bench, replace(fine_tuning(qat, splits), strategy=TRAINING_STRATEGIES.parse(name)), control
    )
    forms = []
    for bits in (8, _LOW_BITS):
        ptq = Ptq(bits, config.activation_bits)
        shadow = make_shadow(ptq, network, splits, device=_CPU, control=control)
        forms.append(_pair(bench.pair, network, shadow, ptq))
    return forms[0], forms[1]


def trained_on(bench: Bench, schedule: Any, control: Control, rows: Any = None) -> nn.Module:
    """A copy of the original, trained on.

    Args:
        bench: whose original it is.
        schedule: a :class:`compd.training.TrainConfig`.
        control: asked whether to stop.
        rows: to train on; None for the training rows.
    """
    assert bench.splits is not None
    network = unfrozen_(copy.deepcopy(bench.pair.original)).to(_CPU)
    fit_(
        network,
        bench.splits.train if rows is None else rows,
        bench.splits.selection,
        schedule,
        stage="training",
        device=_CPU,
        control=control,
    )
    return network.eval()


def _pair(pair: Pair, network: nn.Module, shadow: nn.Module, config: Any) -> Pair:
    return Pair(replace(pair.spec, compress=config, engine="x86"), network, shadow, device=_CPU)


def _figures(
    name: str,
    seed: int,
    bench: Bench,
    pair: Pair,
    low: Pair | None,
    standard: StrategyFigures | None,
) -> StrategyFigures:
    sets, ece = [], None
    for i, images in enumerate(bench.sets):
        own = bench.answers(images, pair)
        [before] = bench.logits([bench.pair.reference], images)
        left = Answered(images, before, own.deployed, pair.heads).disagreement
        more = own.disagreement.count
        if standard is not None:
            more -= standard.sets[i].disagreement.count
        sets.append(
            StrategySet(
                images.name,
                own.accuracy(False),
                own.accuracy(True),
                own.disagreement,
                0 if standard is None else more,
                left,
            )
        )
        if not i and images.labelled:
            ece = calibrated(own, deployed=False).ece
    swapped = ratio = None
    if low is not None:
        rough = bench.answers(bench.clean, low)
        swapped, change = rough.disagreement.share, rough.accuracy_change
        if change is not None and swapped:
            ratio = -change / swapped
    clean = sets[0]
    made = [one.name for one in bench.shifted]
    shifted = [one for one in sets if one.name in made]
    changes = [
        abs(one.accuracy_deployed - one.accuracy_float)
        for one in sets
        if one.accuracy_deployed is not None and one.accuracy_float is not None
    ]
    return StrategyFigures(
        strategy=name,
        random_seed=seed,
        accuracy_float=clean.accuracy_float,
        accuracy_deployed=clean.accuracy_deployed,
        mean_change=mean_of(changes),
        disagreement=clean.disagreement,
        shifted_disagreement=mean_of([one.disagreement.share for one in shifted]),
        original_disagreement=clean.original_disagreement,
        shifted_original_disagreement=mean_of([one.original_disagreement.share for one in shifted]),
        ece_float=ece,
        low_bits=None if low is None else _LOW_BITS,
        low_swapped=swapped,
        low_ratio=ratio,
        sets=tuple(sets),
    )


STRATEGIES_STUDY = Study(Strategies, _run, StrategiesResult, lacks=trainable)
