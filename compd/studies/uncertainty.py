"""Which images disagree: AUC of uncertainty scores (Hu et al. 2022, RQ3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np

from compd.errors import SettingError
from compd.studies.base import Study
from compd.studies.bench import Answered, Bench
from compd.studies.metrics import (
    SCORES,
    Bools,
    Floats,
    Interval,
    auc,
    auc_differences,
    auc_interval,
    roc,
    scores,
)

__all__ = ["UNCERTAINTY", "Separation", "SetUncertainty", "Uncertainty", "UncertaintyResult"]

_EXTREME = 0.95  # margin of the original above which a disagreement is an extreme one
_TRAINED = 0.9  # share of images on which the published protocol fits its model
_HISTOGRAM = 20  # bins of equal width
_CURVE = 100  # points of an ROC curve at most


@dataclass(frozen=True)
class Uncertainty:
    """Settings of the study."""

    resamples: int = 1000  # of the bootstrap over images

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise SettingError("at least 100 resamples", resamples=self.resamples)


@dataclass(frozen=True)
class ScoreFigures:
    """How well one score tells disagreeing from agreeing images."""

    value: float  # AUC by ranks, on all images; 0..1
    low: float
    high: float
    published_protocol: float | None  # balanced, 9:1, a logistic model; None: too few images


@dataclass(frozen=True)
class SetUncertainty:
    """The scores on one set; empty where no image disagrees, or all do."""

    name: str
    images: int
    apart: int  # images on which the models differ
    extreme: int  # of these, on which the original's margin is above 0.95
    original: Mapping[str, ScoreFigures]
    deployed: Mapping[str, ScoreFigures]
    # by how much the AUC of the margin is above each other score's, of the original and the
    # deployed model, on the same resamples
    margin_above: Mapping[str, Interval]
    margin_above_deployed: Mapping[str, Interval]


@dataclass(frozen=True)
class Separation:
    """How one score of one model tells the clean images apart: for plots."""

    most: float  # of the score; the bins are 20 of equal width in 0..most
    agreeing: tuple[int, ...]  # images on which the models agree, by bin
    apart: tuple[int, ...]  # images on which they differ
    false_positives: tuple[float, ...]  # share of agreeing images: the ROC curve, rising
    true_positives: tuple[float, ...]  # share of disagreeing images; empty where no image differs


@dataclass(frozen=True)
class UncertaintyResult:
    """The scores on each set, clean images first."""

    extreme_margin: float
    sets: tuple[SetUncertainty, ...]
    clean_original: Mapping[str, Separation]  # score -> how it tells clean images apart
    clean_deployed: Mapping[str, Separation]


def _run(config: Uncertainty, bench: Bench) -> UncertaintyResult:
    found = tuple(_figures(config, bench, answered) for answered in bench.each("uncertainty"))
    clean = bench.answers(bench.clean)
    return UncertaintyResult(_EXTREME, found, *(_separated(clean, who) for who in (False, True)))


def _separated(answered: Answered, deployed: bool) -> dict[str, Separation]:
    probabilities = answered.probabilities(deployed).numpy()
    apart: Bools = answered.apart.numpy()
    classes = probabilities.shape[1]
    most = {"entropy": log(classes), "margin": 1.0}  # of the others: 1 - 1/K
    found = {}
    for name, score in scores(probabilities).items():
        top = most.get(name, 1 - 1 / classes)
        edges = np.linspace(0, top, _HISTOGRAM + 1)
        inside = np.clip(score, 0, top)  # rounding leaves it by a little
        agreeing, differing = (np.histogram(inside[one], edges)[0] for one in (~apart, apart))
        found[name] = Separation(
            top, tuple(agreeing.tolist()), tuple(differing.tolist()), *roc(score, apart, _CURVE)
        )
    return found


def _figures(config: Uncertainty, bench: Bench, answered: Answered) -> SetUncertainty:
    apart: Bools = answered.apart.numpy()
    seed, n = bench.random_seed, config.resamples
    given = [_scores(answered, who) for who in (False, True)]
    margin = 1 - given[0]["margin"]
    first, second = (
        {name: one for name in SCORES if (one := _score(own[name], apart, seed, n)) is not None}
        for own in given
    )
    return SetUncertainty(
        answered.images.name,
        len(apart),
        int(apart.sum()),
        int((apart & (margin > _EXTREME)).sum()),
        first,
        second,
        auc_differences(given[0], "margin", apart, seed, resamples=n),
        auc_differences(given[1], "margin", apart, seed, resamples=n),
    )


def _scores(answered: Answered, deployed: bool) -> dict[str, Floats]:
    """The scores of one model; margin and confidence as its user sees them."""
    found = scores(answered.probabilities(deployed).numpy())
    found["margin"] = 1 - answered.margins(deployed).numpy()
    found["least_confidence"] = 1 - answered.confidence(deployed).numpy()
    return found


def _score(score: Floats, apart: Bools, random_seed: int, resamples: int) -> ScoreFigures | None:
    whole = auc_interval(score, apart, random_seed, resamples=resamples)
    if whole is None:
        return None
    return ScoreFigures(whole.value, whole.low, whole.high, _published(score, apart, random_seed))


def _published(score: Floats, apart: Bools, random_seed: int) -> float | None:
    """AUC of a logistic model on a tenth of as many agreeing images as disagreeing ones."""
    draw = np.random.Generator(np.random.Philox(key=[random_seed % 2**64, 1]))
    positive, rest = np.flatnonzero(apart), np.flatnonzero(~apart)
    count = min(len(positive), len(rest))
    rows = np.concatenate([draw.permutation(part)[:count] for part in (positive, rest)])
    rows = draw.permutation(rows)
    cut = int(_TRAINED * len(rows))
    fitted, judged = rows[:cut], rows[cut:]
    if len(set(apart[fitted])) < 2 or len(set(apart[judged])) < 2:
        return None
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(score[fitted, None], apart[fitted])
    return auc(model.decision_function(score[judged, None]), apart[judged])


UNCERTAINTY = Study(Uncertainty, _run, UncertaintyResult)
