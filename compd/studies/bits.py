"""How far weights can be rounded: swapped answers against lost accuracy (Xia et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from compd.compress import make_shadow
from compd.compress.ptq import Ptq
from compd.errors import SettingError
from compd.logits import logit_margins
from compd.pair import Pair
from compd.statistics import Share
from compd.studies.base import Study
from compd.studies.bench import Answered, Bench
from compd.studies.calibration import calibrated

__all__ = ["BITS", "BitFigures", "Bits", "BitsResult"]

_HISTOGRAM = 50  # bins of equal width (Xia et al.)
_EXTREME = 0.95


@dataclass(frozen=True)
class Bits:
    """Settings of the study: the original is quantised after training to each number of bits."""

    most: int = 8  # bits of weights
    fewest: int = 4
    activation_bits: int = 8

    def __post_init__(self) -> None:
        if not 4 <= self.fewest <= self.most <= 8:
            raise SettingError("4 <= fewest <= most <= 8", fewest=self.fewest, most=self.most)
        Ptq(self.most, self.activation_bits)  # raises


@dataclass(frozen=True)
class BitFigures:
    """The original against itself with weights of some bits, on clean images."""

    weight_bits: int
    activation_bits: int
    simulated: bool  # computed in floats: no int8 kernel has so few bits
    images: int
    swapped: Share  # the first largest answer is another one
    ties: int  # of these: exact ties
    error_change: float | None  # accuracy lost, 0..1; None where nobody labelled the images
    ratio: float | None  # error_change over the share of swapped; None also where none is
    right_before: float | None  # of the swapped images, on which the original is right
    right_after: float | None  # the quantised model; ratio is right_before - right_after
    kl: float | None  # mean of KL(original || quantised), nats
    ece: float | None  # of the quantised model, 15 bins of equal width
    median_confidence: float | None  # of the original on the swapped images
    extreme: int  # of these, with a margin of the original above 0.95
    swapped_confidence: tuple[int, ...]  # the original's on swapped images, 50 bins of equal width
    logit_change: float  # deviation of the change of centred logits
    lead: float  # median lead of the original's answer over the next logit


@dataclass(frozen=True)
class BitsResult:
    """All numbers of bits, the most first."""

    bits: tuple[BitFigures, ...]
    median_confidence: float  # of the original on all images


def _run(config: Bits, bench: Bench) -> BitsResult:
    found = []
    confidence = 0.0
    for done, pair in enumerate(quantised(config, bench)):
        bench.control.report("bits", done, 1 + config.most - config.fewest)
        answered = bench.answers(bench.clean, pair)
        found.append(_figures(config, pair, answered))
        confidence = float(answered.probabilities(False).amax(1).median())
    bench.control.report("bits", len(found), len(found))
    return BitsResult(tuple(found), confidence)


def quantised(config: Bits, bench: Bench) -> Iterator[Pair]:
    """The original with itself quantised to each number of bits."""
    assert bench.splits is not None
    for bits in range(config.most, config.fewest - 1, -1):
        bench.control.check()
        ptq = Ptq(bits, config.activation_bits)
        shadow = make_shadow(
            ptq,
            bench.pair.original,
            bench.splits,
            device=torch.device("cpu"),
            control=bench.control.quiet,
        )
        yield bench.pair.with_shadow(shadow, ptq)


def _figures(config: Bits, pair: Pair, answered: Answered) -> BitFigures:
    apart, labelled = answered.apart, answered.images.labelled
    confidence = answered.probabilities(False)
    top = confidence.topk(2, dim=1).values
    counts, _ = np.histogram(top[apart, 0].numpy(), np.linspace(0, 1, _HISTOGRAM + 1))
    swapped = answered.disagreement
    before = after = change = ratio = None
    if labelled:
        right, kept = answered.right(False), answered.right(True)
        change = float(right.double().mean() - kept.double().mean())
        if swapped.count:
            before, after = float(right[apart].double().mean()), float(kept[apart].double().mean())
            ratio = change / swapped.share
    ties = apart & (logit_margins(answered.deployed, answered.labels[0]) == 0)
    moved = _centred(answered.deployed) - _centred(answered.original)
    bits = pair.spec.compress.weight_bits
    return BitFigures(
        weight_bits=bits,
        activation_bits=config.activation_bits,
        simulated=pair.deployed.engine.startswith("simulated"),
        images=len(apart),
        swapped=swapped,
        ties=int(ties.sum()),
        error_change=change,
        ratio=ratio,
        right_before=before,
        right_after=after,
        kl=answered.divergence,
        ece=calibrated(answered, deployed=True).ece if labelled else None,
        median_confidence=float(top[apart, 0].median()) if swapped.count else None,
        extreme=int((apart & (top[:, 0] - top[:, 1] > _EXTREME)).sum()),
        swapped_confidence=tuple(counts.tolist()),
        logit_change=float(moved.std()),
        lead=float(logit_margins(answered.original, answered.labels[0]).median()),
    )


def _centred(logits: torch.Tensor) -> torch.Tensor:
    wide = logits.double()
    return wide - wide.mean(1, keepdim=True)


def lacks_calibration(config: Any, bench: Bench) -> str:
    """Why a study that quantises the original does not apply."""
    del config
    if not bench.pair.can_differentiate_original:
        return "the original can only be run, and not be quantised here"
    if bench.splits is None:
        return "there are no images to calibrate with: name a data set"
    return ""


BITS = Study(Bits, _run, BitsResult, lacks=lacks_calibration)
