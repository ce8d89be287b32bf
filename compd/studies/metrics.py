"""What is measured of answers: uncertainty, calibration, top-k, F1, and how sure an AUC is.

Scores are those of Hu et al. (2022, RQ3); calibration is that of Xia et al. (2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SCORES",
    "Bin",
    "Interval",
    "auc",
    "auc_differences",
    "auc_interval",
    "bins_of",
    "ece",
    "f1",
    "mean_of",
    "roc",
    "scores",
    "top_k",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Labels = NDArray[np.int64]

SCORES = ("entropy", "gini", "margin", "least_confidence")
_BINS = 15  # Xia et al.
_RESAMPLES = 1000
_ROOM = 1 << 22  # numbers of resamples at a time


def scores(probabilities: Floats) -> dict[str, Floats]:
    """Uncertainty of each image, each score the higher the less sure.

    Args:
        probabilities: (N, K), rows that add up to 1.

    A row of zeros, of a model that answers with no numbers, is as unsure as can be.

    Returns:
        ``entropy`` in nats (0..log K), ``gini`` (0..1 - 1/K), ``margin`` turned round,
        1 - (p(top-1) - p(top-2)) in 0..1, and ``least_confidence``, 1 - p(top-1).
    """
    classes = probabilities.shape[1]
    dead = probabilities.sum(1, keepdims=True) == 0
    probabilities = np.where(dead, 1 / classes, probabilities)
    top = np.partition(probabilities, -2, axis=1)[:, -2:]
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    return {
        "entropy": -(probabilities * logs).sum(1),
        "gini": 1 - (probabilities**2).sum(1),
        "margin": 1 - (top[:, 1] - top[:, 0]),
        "least_confidence": 1 - top[:, 1],
    }


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None


def top_k(logits: Floats, labels: Labels, k: int = 5) -> float:
    """Share of images whose label is among the k largest logits; ties go to the lower class."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((order == labels[:, None]).any(1).mean())


def f1(labels: Labels, answers: Labels) -> tuple[float, float]:
    """F1 over classes that occur: their mean, and the mean weighted by their images (0..1)."""
    from sklearn.metrics import f1_score

    known = np.unique(np.concatenate([labels, answers[answers >= 0]]))  # less than 0: no answer
    macro, weighted = (
        float(f1_score(labels, answers, labels=known, average=way, zero_division=0))
        for way in ("macro", "weighted")
    )
    return macro, weighted


@dataclass(frozen=True)
class Bin:
    """Images of about one confidence."""

    low: float
    high: float
    count: int
    confidence: float | None  # mean; None where there is no image
    accuracy: float | None  # share of right answers


def ece(confidence: Floats, right: Bools, *, equal_count: bool = False) -> float:
    """Expected calibration error in 0..1, over 15 bins (Naeini et al. 2015; Guo et al. 2017).

    Args:
        confidence: (N,) probabilities of the answers.
        right: (N,) whether they are right.
        equal_count: bins of equal count; else of equal width, each without its lower end.
    """
    edges = _quantiles(confidence) if equal_count else np.linspace(0, 1, _BINS + 1)
    return sum(
        one.count / len(confidence) * abs(one.accuracy - one.confidence)
        for one in bins_of(confidence, right, edges)
        if one.accuracy is not None and one.confidence is not None
    )


def _quantiles(confidence: Floats) -> Floats:
    found: Floats = np.quantile(confidence, np.linspace(0, 1, _BINS + 1))
    found[0] = 0.0
    return found


def bins_of(confidence: Floats, right: Bools, edges: Floats | None = None) -> tuple[Bin, ...]:
    """Bins between edges, each without its lower end; 15 of equal count if there are no edges."""
    edges = _quantiles(confidence) if edges is None else edges
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, len(edges) - 2)
    found = []
    for i, (low, high) in enumerate(pairwise(edges)):
        mine = place == i
        count = int(mine.sum())
        found.append(
            Bin(
                float(low),
                float(high),
                count,
                float(confidence[mine].mean()) if count else None,
                float(right[mine].mean()) if count else None,
            )
        )
    return tuple(found)


def auc(score: Floats, positive: Bools) -> float | None:
    """Area under the ROC curve of a score by its ranks; None unless both kinds occur."""
    if positive.all() or not positive.any():
        return None
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, score))


def roc(score: Floats, positive: Bools, most: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The ROC curve of a score: false and true positive rates, both rising from 0 to 1.

    Args:
        score: (N,), the higher the more likely positive.
        positive: (N,).
        most: points at most; of more corners, as many are kept.

    Returns:
        Both empty unless both kinds occur.
    """
    if positive.all() or not positive.any():
        return (), ()
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, score)
    kept = np.unique(np.linspace(0, len(false) - 1, most).round().astype(int))
    return tuple(false[kept].tolist()), tuple(true[kept].tolist())


@dataclass(frozen=True)
class Interval:
    """A figure with its two-sided 95 % interval."""

    value: float
    low: float
    high: float


def auc_interval(
    score: Floats, positive: Bools, random_seed: int, *, resamples: int = _RESAMPLES
) -> Interval | None:
    """The AUC with the percentiles of a bootstrap over images; None unless both kinds occur."""
    value = auc(score, positive)
    if value is None:
        return None
    drawn = _resampled({"": score}, positive, random_seed, resamples)[""]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def auc_differences(
    given: Mapping[str, Floats],
    first: str,
    positive: Bools,
    random_seed: int,
    *,
    resamples: int = _RESAMPLES,
) -> dict[str, Interval]:
    """By how much one score's AUC is above each other one's, on the same resamples of images."""
    if positive.all() or not positive.any():
        return {}
    drawn = _resampled(given, positive, random_seed, resamples)
    found = {}
    for name in given:
        if name == first:
            continue
        low, high = np.quantile(drawn[first] - drawn[name], [0.025, 0.975])
        apart = (auc(given[first], positive) or 0.0) - (auc(given[name], positive) or 0.0)
        found[name] = Interval(apart, float(low), float(high))
    return found


def _resampled(
    given: Mapping[str, Floats], positive: Bools, random_seed: int, resamples: int
) -> dict[str, Floats]:
    """AUCs of scores on resamples of the images; those without both kinds are left out."""
    draw = np.random.Generator(np.random.Philox(key=[random_seed % 2**64, 0]))
    n = len(positive)
    found: dict[str, list[Floats]] = {name: [] for name in given}
    for start in range(0, resamples, step := max(1, _ROOM // n)):
        count = min(step, resamples - start)
        chosen = draw.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        times = np.bincount(chosen.ravel(), minlength=count * n).reshape(count, n)
        for name, score in given.items():
            found[name].append(_weighted(score, positive, times.astype(np.float32)))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _weighted(score: Floats, positive: Bools, times: NDArray[np.float32]) -> Floats:
    """AUCs (B,) where image i counts ``times[b, i]`` (Mann and Whitney 1947); a tie is half."""
    order = np.argsort(score[~positive], kind="stable")
    down = np.zeros((len(times), len(order) + 1), np.float32)  # whole numbers: exact
    np.cumsum(times[:, ~positive][:, order], axis=1, out=down[:, 1:])
    ranked = score[~positive][order]
    below = down[:, np.searchsorted(ranked, score[positive], side="left")]
    within = down[:, np.searchsorted(ranked, score[positive], side="right")]
    up = times[:, positive].astype(np.float64)
    pairs = up.sum(1) * down[:, -1]
    won = (up * (below + within) / 2).sum(1)
    found: Floats = won[pairs > 0] / pairs[pairs > 0]
    return found
