"""Measures of answers, beside scikit-learn's and torchmetrics'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.metrics import top_k_accuracy_score as reference_top_k
from torchmetrics.functional.classification import (
    multiclass_calibration_error,
    multiclass_f1_score,
)

from compd.logits import divergences
from compd.statistics import exceeded_next, holm
from compd.studies import metrics
from compd.studies.metrics import (
    auc,
    auc_differences,
    auc_interval,
    bins_of,
    ece,
    f1,
    scores,
    top_k,
)

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 300, k: int = 7) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return draw.normal(0, draw.uniform(0.2, 5), (n, k)), draw.integers(0, k, n)


@given(SEEDS)
@settings(max_examples=20)
def test_calibration_error_is_that_of_torchmetrics(seed: int) -> None:
    logits, labels = drawn(seed)
    probabilities = torch.from_numpy(logits).softmax(1)
    expected = multiclass_calibration_error(
        probabilities, torch.from_numpy(labels), num_classes=7, n_bins=15, norm="l1"
    )
    confidence, answers = probabilities.max(1)
    found = ece(confidence.numpy(), answers.numpy() == labels)
    assert found == pytest.approx(float(expected), abs=1e-6)


@given(SEEDS)
@settings(max_examples=20)
def test_top_k_and_f1_are_those_of_the_libraries(seed: int) -> None:
    logits, labels = drawn(seed)
    assert top_k(logits, labels, 5) == pytest.approx(
        reference_top_k(labels, logits, k=5, labels=np.arange(7))
    )
    macro, weighted = f1(labels, logits.argmax(1))
    for found, average in ((macro, "macro"), (weighted, "weighted")):
        expected = multiclass_f1_score(
            torch.from_numpy(logits), torch.from_numpy(labels), num_classes=7, average=average
        )
        assert found == pytest.approx(float(expected), abs=1e-6)


@given(SEEDS)
@settings(max_examples=20)
def test_divergence_is_that_of_scipy(seed: int) -> None:
    from scipy.special import rel_entr
    from scipy.special import softmax as reference

    first, second = drawn(seed, 50)[0], drawn(seed + 1, 50)[0]
    expected = rel_entr(reference(first, 1), reference(second, 1)).sum(1)
    found = divergences(torch.from_numpy(second), torch.from_numpy(first))
    assert found.numpy() == pytest.approx(expected, abs=1e-9)


@given(SEEDS)
@settings(max_examples=20)
def test_a_weighted_auc_is_that_of_scikit_learn_with_ties(seed: int) -> None:
    draw = np.random.default_rng(seed)
    score = draw.integers(0, 9, 60) / 9.0
    positive = draw.random(60) < 0.3
    positive[:2] = True, False
    times = draw.integers(0, 4, (5, 60)).astype(np.float32)
    times[:, :2] = 1
    expected = [roc_auc_score(positive, score, sample_weight=one) for one in times]
    assert metrics._weighted(score, positive, times) == pytest.approx(expected)
    assert auc(score, positive) == pytest.approx(roc_auc_score(positive, score))


def test_a_bootstrap_holds_its_figure_and_comes_out_the_same_again() -> None:
    draw = np.random.default_rng(0)
    positive = draw.random(2000) < 0.1
    score = draw.normal(0, 1, 2000) + 1.5 * positive
    found = auc_interval(score, positive, 7)
    assert found is not None
    assert found.low < found.value < found.high < found.low + 0.1
    assert auc_interval(score, positive, 7) == found != auc_interval(score, positive, 8)
    noise = score + draw.normal(0, 2, 2000)
    worse = auc_differences({"good": score, "noisy": noise}, "good", positive, 7)["noisy"]
    assert 0 < worse.low < worse.value < worse.high
    same = auc_differences({"good": score, "same": score.copy()}, "good", positive, 7)["same"]
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_nothing_to_tell_apart_has_no_auc() -> None:
    score = np.linspace(0, 1, 20)
    for positive in (np.zeros(20, bool), np.ones(20, bool)):
        assert auc(score, positive) is None
        assert auc_interval(score, positive, 0) is None
        assert auc_differences({"a": score, "b": score}, "a", positive, 0) == {}


def test_scores_are_highest_where_all_classes_are_as_probable() -> None:
    even, sure = np.full(4, 0.25), np.array([1.0, 0, 0, 0])
    found = scores(np.stack([even, sure]))
    assert found["entropy"] == pytest.approx([np.log(4), 0])
    assert found["gini"] == pytest.approx([0.75, 0])
    assert found["margin"] == pytest.approx([1, 0])
    assert found["least_confidence"] == pytest.approx([0.75, 0])


@given(SEEDS, st.integers(1, 200))
def test_bins_hold_each_image_once(seed: int, n: int) -> None:
    draw = np.random.default_rng(seed)
    confidence, right = draw.integers(0, 11, n) / 10.0, draw.random(n) < 0.5
    for edges in (None, np.linspace(0, 1, 21)):
        found = bins_of(confidence, right, edges)
        assert sum(one.count for one in found) == n
        for one in found:
            if one.confidence is not None:
                assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(("count", "of", "share"), [(0, 400, 0.01), (3, 900, 0.01), (5, 40, 0.5)])
def test_further_images_are_a_hypergeometric_draw(count: int, of: int, share: float) -> None:
    from scipy.stats import hypergeom

    total = count + int(share * of) + 1
    expected = hypergeom.cdf(count, 2 * of, total, of)
    assert exceeded_next(count, of, share) == pytest.approx(expected, rel=1e-9)
