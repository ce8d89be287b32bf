"""Whether confidence is accuracy: reliability and ECE of both models (Xia et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compd.studies.base import Study, no_labels
from compd.studies.bench import Answered, Bench
from compd.studies.metrics import Bin, bins_of, ece

__all__ = ["CALIBRATION", "Calibrated", "Calibration", "CalibrationResult", "SetCalibration"]

_HISTOGRAM = 20  # bins of equal width


@dataclass(frozen=True)
class Calibration:
    """Settings of the study: it has none."""


@dataclass(frozen=True)
class Calibrated:
    """How far the confidence of one model is from its accuracy, in 0..1."""

    ece: float  # 15 bins of equal width
    ece_equal_count: float  # 15 bins of equal count
    confidence: float  # mean
    accuracy: float
    bins: tuple[Bin, ...]  # of equal count: the reliability curve
    histogram: tuple[int, ...]  # images by confidence, 20 bins of equal width


@dataclass(frozen=True)
class SetCalibration:
    """Both models on one set."""

    name: str
    images: int
    original: Calibrated
    deployed: Calibrated


@dataclass(frozen=True)
class CalibrationResult:
    """All labelled sets, clean images first."""

    sets: tuple[SetCalibration, ...]


def _run(config: Calibration, bench: Bench) -> CalibrationResult:
    del config
    return CalibrationResult(
        tuple(
            SetCalibration(
                answered.images.name,
                len(answered.images),
                calibrated(answered, deployed=False),
                calibrated(answered, deployed=True),
            )
            for answered in bench.each("calibration")
            if answered.images.labelled
        )
    )


def calibrated(answered: Answered, *, deployed: bool) -> Calibrated:
    """The calibration of one model on a labelled set."""
    confidence = answered.confidence(deployed).numpy()
    right = answered.right(deployed).numpy()
    counts, _ = np.histogram(confidence, np.linspace(0, 1, _HISTOGRAM + 1))
    return Calibrated(
        ece=ece(confidence, right),
        ece_equal_count=ece(confidence, right, equal_count=True),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        bins=bins_of(confidence, right),
        histogram=tuple(counts.tolist()),
    )


CALIBRATION = Study(Calibration, _run, CalibrationResult, lacks=no_labels)
